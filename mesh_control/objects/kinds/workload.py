# SPDX-License-Identifier: Apache-2.0
"""WorkloadEntry and WorkloadGroup: one shape, as the group's template is an entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import LABELS
from mesh_control.objects.kinds.kind import NETWORKING, ObjectKind, invalid, not_yet
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import (
    COUNT,
    DNS_LABEL,
    DNS_NAME,
    HEADER,
    NON_EMPTY,
    PORT,
    STRING,
    is_fqdn,
    is_ip,
)
from mesh_control.objects.types import Choice, ListOf, MapOf, Message, Number, Text


def _is_network(text: str) -> bool:
    return len(text) <= 2048 and not any(character.isspace() for character in text)


_LOCALITY = Text("REGION[/ZONE[/SUBZONE]]", lambda text: text.count("/") <= 2)
WORKLOAD = Message(
    {
        "address": STRING,
        "ports": MapOf(PORT, key=DNS_LABEL, at_most=128),
        "labels": LABELS,
        "network": Text("a network's name", _is_network),
        "locality": _LOCALITY,
        "weight": COUNT,
        "serviceAccount": DNS_NAME,
    }
)
_SECONDS = Number(0, 2147483647)
_PROBE = Message(
    {
        "initialDelaySeconds": _SECONDS,
        "timeoutSeconds": _SECONDS,
        "periodSeconds": _SECONDS,
        "successThreshold": _SECONDS,
        "failureThreshold": _SECONDS,
        "httpGet": Message(
            {
                "path": STRING,
                "port": PORT,
                "host": STRING,
                "scheme": Choice(("HTTP", "HTTPS", "")),
                "httpHeaders": ListOf(Message({"name": HEADER, "value": STRING})),
            },
            required=("port",),
        ),
        "tcpSocket": Message({"host": STRING, "port": PORT}, required=("port",)),
        "exec": Message({"command": ListOf(NON_EMPTY, at_least=1)}, required=("command",)),
        "grpc": Message({"port": PORT, "service": STRING}, required=("port",)),
    },
    one_of=(("httpGet", "tcpSocket", "exec", "grpc"),),
)
_GROUP_SCHEMA = Message(
    {
        "metadata": Message({"labels": LABELS, "annotations": MapOf(STRING)}),
        "template": WORKLOAD,
        "probe": _PROBE,
    },
    required=("template",),
)


def address_findings(workload: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    """Check the address of an entry or endpoint: an IP address or a host name."""
    address = workload.get("address", "")
    if not address:
        if workload.get("network"):
            yield not_yet((*path, "address"), "left out, with a network")
        else:
            yield invalid((*path, "address"), "is required")
    elif address.startswith("unix://"):
        yield not_yet((*path, "address"), repr(address))
    elif not is_ip(address) and (not is_fqdn(address) or address.replace(".", "").isdecimal()):
        yield invalid(
            (*path, "address"), f"expected an IP address or a host name, found {address!r}"
        )


def _entry_rules(document: Document) -> Iterator[Finding]:
    yield from address_findings(document.spec, ("spec",))


def _group_rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    probe = spec.get("probe")
    if probe is not None and not {"httpGet", "tcpSocket", "exec", "grpc"} & set(probe):
        yield invalid(("spec", "probe"), "expected httpGet, tcpSocket, exec or grpc, found none")


ENTRY = ObjectKind("WorkloadEntry", NETWORKING, WORKLOAD, _entry_rules)
GROUP = ObjectKind("WorkloadGroup", NETWORKING, _GROUP_SCHEMA, _group_rules)
