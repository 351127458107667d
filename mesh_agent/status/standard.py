# SPDX-License-Identifier: Apache-2.0
"""Istio's standard metrics with Istio's labels, from the raw ones that Envoy keeps. Pure.

`mesh_agent.adapt.metrics` has Envoy write a workload or a service as one label. What of a label
is not known is "unknown", as with Istio: of the caller over TCP only its identity is known and the
namespace in it, because no metadata is exchanged there.
"""

from __future__ import annotations

import re
from typing import Final

from mesh_agent.adapt.labels import CUSTOM, SERVICE, WITHOUT, WORKLOAD

_PREFIX: Final = b"envoy_istio_"
_FAMILY: Final = re.compile(rb"# (TYPE|HELP) envoy_(istio_.*)")
_BOUND: Final = b",le="
_TCP: Final = len(b"istio_tcp_")
_LABEL: Final = re.compile(r'([\w.]+)="((?:[^"\\]|\\.)*)"')
_NAMESPACE: Final = re.compile(r"spiffe://[^/]+/ns/([^/]+)/sa/")
_UNKNOWN: Final = "unknown"
# Istiod leaves it away, to keep what it says of endpoints short.
_REVISION: Final = "latest"
# What Envoy writes where there is nothing.
_NOTHING: Final = "-"


def standard(text: bytes) -> bytes:
    """Return Envoy's metrics with Istio's in their own names and labels; others as they are.

    Samples that differed only in what Istio has no label for, or an operator wants none for,
    become their sum.
    """
    if _PREFIX not in text:
        return text
    known: dict[bytes, bytes] = {}
    written: dict[bytes, bytes] = {}  # without the value: in the order of their first lines
    for line in text.splitlines(keepends=True):
        if not line.startswith((_PREFIX, b"#")):
            written[line] = b""
        elif line.startswith(b"#"):
            written[_FAMILY.sub(rb"# \1 \2", line)] = b""
        else:
            sample, _space, value = line.rpartition(b" ")
            name = _sample(sample, known) + b" "
            written[name] = _sum(written[name], value) if name in written else value
    return b"".join(part for line in written.items() for part in line)


def _sum(*values: bytes) -> bytes:
    try:
        return b"%d\n" % sum(map(int, values))
    except ValueError:
        return f"{sum(map(float, values)):.15g}\n".encode()


def _sample(sample: bytes, known: dict[bytes, bytes]) -> bytes:
    name, brace, rest = sample[len(b"envoy_") :].partition(b"{")
    if not brace:
        return name
    raw, bound = rest[: -len(b"}")], b""
    if name.endswith(b"_bucket"):  # Envoy writes the bound last
        raw, comma, last = raw.rpartition(_BOUND)
        bound = comma + last
    key = name[:_TCP] + raw  # the same labels mean another protocol in TCP's metrics
    if key not in known:
        words = raw.decode(errors="replace")  # peers choose some of it
        known[key] = _labels(words, tcp=name.startswith(b"istio_tcp_")).encode()
    return b"%b{%b%b}" % (name, known[key], bound)


def _labels(raw: str, *, tcp: bool) -> str:
    given = dict(_LABEL.findall(raw))
    if "reporter" not in given:
        return raw
    labels = {"reporter": given["reporter"]}
    for side in ("source", "destination"):
        principal = given.get(f"{side}_principal", "")
        labels |= _workload(side, given.get(f"{side}_peer", ""), principal)
        labels[f"{side}_principal"] = principal
    services = given.get("destination_services", "").split(";")
    labels |= dict(zip(SERVICE, (*services, "", "", ""), strict=False))
    labels["request_protocol"] = _protocol(given, tcp=tcp)
    if not tcp:
        labels["response_code"] = given.get("response_code", "")
    labels["response_flags"] = given.get("response_flags", "")
    labels["connection_security_policy"] = _security(labels)
    labels = {name: value or _UNKNOWN for name, value in labels.items()}
    if status := given.get("grpc_response_status"):
        labels["grpc_response_status"] = status
    for name in given.get(WITHOUT, "").split(","):
        labels.pop(name, None)
    for name, value in given.items():
        if name.startswith(CUSTOM):
            labels[name.removeprefix(CUSTOM)] = _UNKNOWN if value in ("", _NOTHING) else value
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _workload(side: str, peer: str, principal: str) -> dict[str, str]:
    found = "" if peer == _NOTHING else peer
    parts = dict(zip(WORKLOAD, (*found.split(";"), *("",) * len(WORKLOAD)), strict=False))
    if parts["workload"] and not parts["canonical_revision"]:
        parts["canonical_revision"] = _REVISION
    if namespace := _NAMESPACE.match(principal):  # proved, the other is only said
        parts["workload_namespace"] = namespace[1]
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
