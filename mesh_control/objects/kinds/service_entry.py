# SPDX-License-Identifier: Apache-2.0
"""ServiceEntry: hosts, addresses, ports and where the endpoints come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import EXPORT_TO, LABELS, STRINGS
from mesh_control.objects.kinds.kind import NETWORKING, ObjectKind, invalid, not_yet, unique
from mesh_control.objects.kinds.workload import WORKLOAD, address_findings
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import DNS_LABEL, IP_OR_CIDR, PORT, is_host, is_ip
from mesh_control.objects.types import Choice, ListOf, Message, Text

_PROTOCOLS = (
    "HTTP",
    "HTTPS",
    "GRPC",
    "GRPC-WEB",
    "HTTP2",
    "MONGO",
    "TCP",
    "TLS",
    "MYSQL",
    "REDIS",
)
_SCHEMA = Message(
    {
        "hosts": ListOf(
            Text("a host name or '*.DOMAIN'", lambda text: text != "*" and is_host(text)),
            at_least=1,
            at_most=256,
        ),
        "addresses": ListOf(IP_OR_CIDR, at_most=256),
        "ports": ListOf(
            Message(
                {
                    "number": PORT,
                    "name": DNS_LABEL,
                    "protocol": Text(
                        f"one of {', '.join(_PROTOCOLS)}", lambda text: text.upper() in _PROTOCOLS
                    ),
                    "targetPort": PORT,
                },
                required=("number", "name"),
            ),
            at_most=256,
        ),
        "location": Choice(("MESH_EXTERNAL", "MESH_INTERNAL")),
        "resolution": Choice(("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS")),
        "endpoints": ListOf(WORKLOAD, at_most=4096),
        "workloadSelector": Message({"labels": LABELS}),
        "exportTo": EXPORT_TO,
        "subjectAltNames": STRINGS,
    },
    required=("hosts",),
    one_of=(("endpoints", "workloadSelector"),),
)


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    ports, endpoints = spec.get("ports", []), spec.get("endpoints", [])
    resolution = spec.get("resolution", "NONE")
    for key, what in (("number", "port"), ("name", "port name")):
        places = ((p[key], ("spec", "ports", i, key)) for i, p in enumerate(ports))
        yield from unique(places, what)
    for index, address in enumerate(spec.get("addresses", [])):
        if "/" in address:
            yield not_yet(("spec", "addresses", index), f"CIDR {address!r}")
    if resolution == "NONE" and endpoints:
        yield invalid(("spec", "endpoints"), "must be left out with resolution NONE")
    if not ports:
        yield invalid(("spec", "ports"), "expected at least 1 item, found 0")
    names = {port["name"] for port in ports}
    for index, endpoint in enumerate(endpoints):
        path: Path = ("spec", "endpoints", index)
        yield from address_findings(endpoint, path)
        address = endpoint.get("address", "")
        if resolution == "STATIC" and address and not is_ip(address):
            message = f"expected an IP address with resolution STATIC, found {address!r}"
            yield invalid((*path, "address"), message)
        for name in endpoint.get("ports", {}):
            if name not in names:
                known = ", ".join(sorted(names)) or "none"
                message = f"expected the name of one of spec.ports ({known}), found {name!r}"
                yield invalid((*path, "ports", name), message)
    if resolution == "DNS":
        for index, host in enumerate(spec["hosts"]):
            if host.startswith("*") and not endpoints:
                message = f"{host!r} cannot be resolved: give endpoints, or resolution NONE"
                yield invalid(("spec", "hosts", index), message)


KIND = ObjectKind("ServiceEntry", NETWORKING, _SCHEMA, _rules)
