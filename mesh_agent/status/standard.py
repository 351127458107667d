# SPDX-License-Identifier: Apache-2.0
"""Istio's standard metrics with Istio's labels, from the raw ones that Envoy keeps. Pure.

`mesh_agent.adapt.metrics` has Envoy write a workload or a service as one label. What of a label
is not known is "unknown", as with Istio: of the peer of an inbound call only its identity and the
namespace in it, because no metadata is exchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_PREFIX: Final = b"envoy_istio_"
_FAMILY: Final = re.compile(rb"# (TYPE|HELP) envoy_(istio_.*)")
_BOUND: Final = b",le="
_TCP: Final = len(b"istio_tcp_")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_NAMESPACE: Final = re.compile(r"spiffe://[^/]+/ns/([^/]+)/sa/")
_WORKLOAD: Final = (
    "workload",
    "workload_namespace",
    "canonical_service",
    "canonical_revision",
    "cluster",
    "app",
    "version",
)
_SERVICE: Final = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
)
_UNKNOWN: Final = "unknown"
# Istiod leaves it away, to keep what it says of endpoints short.
_REVISION: Final = "latest"


def standard(text: bytes) -> bytes:
    """Return Envoy's metrics with Istio's in their own names and labels; others as they are."""
    known: dict[bytes, bytes] = {}
    return b"".join(_lines(text, known)) if _PREFIX in text else text


def _lines(text: bytes, known: dict[bytes, bytes]) -> Iterator[bytes]:
    for line in text.splitlines(keepends=True):
        if line.startswith(b"#"):
            yield _FAMILY.sub(rb"# \1 \2", line)
        elif line.startswith(_PREFIX):
            name, brace, rest = line[len(b"envoy_") :].partition(b"{")
            if not brace:
                yield name
                continue
            raw, _brace, value = rest.rpartition(b"} ")
            bound = b""
            if name.endswith(b"_bucket"):  # Envoy writes the bound last
                raw, comma, last = raw.rpartition(_BOUND)
                bound = comma + last
            key = name[:_TCP] + raw  # the same labels mean another protocol in TCP's metrics
            if key not in known:
                words = raw.decode(errors="replace")  # peers choose some of it
                known[key] = _labels(words, tcp=name.startswith(b"istio_tcp_")).encode()
            yield b"%b{%b%b} %b" % (name, known[key], bound, value)
        else:
            yield line


def _labels(raw: str, *, tcp: bool) -> str:
    given = dict(_LABEL.findall(raw))
    if "reporter" not in given:
        return raw
    labels = {"reporter": given.get("reporter", "")}
    for side in ("source", "destination"):
        principal = given.get(f"{side}_principal", "")
        labels |= _workload(side, given.get(f"{side}_peer", ""), principal)
        labels[f"{side}_principal"] = principal
    services = given.get("destination_services", "").split(";")
    labels |= dict(zip(_SERVICE, (*services, "", "", ""), strict=False))
    labels["request_protocol"] = _protocol(given, tcp=tcp)
    if not tcp:
        labels["response_code"] = given.get("response_code", "")
    labels["response_flags"] = given.get("response_flags", "")
    labels["connection_security_policy"] = _security(labels)
    labels = {name: value or _UNKNOWN for name, value in labels.items()}
    if status := given.get("grpc_response_status"):
        labels["grpc_response_status"] = status
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _workload(side: str, peer: str, principal: str) -> dict[str, str]:
    parts = dict(zip(_WORKLOAD, (*peer.split(";"), *("",) * len(_WORKLOAD)), strict=False))
    if parts["workload"] and not parts["canonical_revision"]:
        parts["canonical_revision"] = _REVISION
    if not parts["workload_namespace"] and (found := _NAMESPACE.match(principal)):
        parts["workload_namespace"] = found[1]
    return {f"{side}_{name}": value for name, value in parts.items()}


def _protocol(given: dict[str, str], *, tcp: bool) -> str:
    if tcp:
        return "tcp"
    return "grpc" if given.get("grpc_response_status") else "http"


def _security(labels: dict[str, str]) -> str:
    """Istio leaves it to the side that is called."""
    if labels["reporter"] != "destination":
        return _UNKNOWN
    return "mutual_tls" if labels["source_principal"] else "none"
