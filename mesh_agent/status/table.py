# SPDX-License-Identifier: Apache-2.0
"""The status as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def render(status: Mapping[str, Any]) -> str:
    """Return lines of ``part  what`` from the object that ``/status`` gives."""
    rows = list(_rows(status))
    width = max(len(name) for name, _unused in rows)
    return "".join(f"{name:{width}}  {text}\n" for name, text in rows)


def _rows(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    workload, identity = status["workload"], status["identity"]
    yield "agent", f"{status['version']}, {'ready' if status['ready'] else 'not ready'}"
    for text in status["lacks"]:
        yield "", text
    yield "workload", f"{workload['namespace']}/{workload['name']} on {workload['network']}"
    yield "identity", f"{identity['state']}, {identity['spiffe_id']}"
    if identity["serial"]:
        yield "", f"certificate {identity['serial']} until {identity['not_after']}"
    if identity["needs_token"]:
        yield "", "needs a join token"
    if identity["last_error"]:
        yield "", identity["last_error"]
    yield "control plane", _control_plane(status["control_plane"])
    proxy = status["proxy"]
    yield "proxy", "ready" if proxy["ready"] else "not ready"
    for refusal in proxy["nacks"]:
        kind = refusal["type_url"].rsplit(".", 1)[-1]
        yield "", f"refuses {kind} {refusal['resource']}: {refusal['message'].strip()}"
    dns = status["dns"]
    upstreams = ", ".join(dns["upstreams"]) or "none"
    yield "dns", f"{dns['names']} names, others asked of {upstreams}"
    redirect = status["redirect"]
    yield "redirect", "applied" if redirect["applied"] else "not applied"
    for reason in redirect["drift"]:
        yield "", f"drift: {reason}"
    health = status["health"]
    yield "health", f"{health['state']} {health['message']}".strip()


def _control_plane(plane: Mapping[str, Any]) -> str:
    if plane["connected"]:
        return f"{plane['address']} since {plane['since']}"
    source = {
        "cache": "Envoy keeps its last good configuration",
        "none": "Envoy is not connected or has no configuration",
    }[plane["source"]]
    return f"not connected; {source}" + (f"; {plane['last_error']}" if plane["last_error"] else "")
