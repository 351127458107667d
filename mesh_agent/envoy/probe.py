# SPDX-License-Identifier: Apache-2.0
"""The application's probe as Istio's ReadinessProbe, in proto-JSON. Pure.

The agent probes by its own settings. This tells the control plane that it does, so that a
workload gets no traffic before its first report.
"""

from __future__ import annotations

import math
from typing import Any

from mesh_agent.health.settings import ReadinessProbe


def readiness_probe(probe: ReadinessProbe) -> dict[str, Any]:
    """Return the ``readinessProbe`` of Istio's ProxyConfig; seconds are whole ones there."""
    return {
        **_kind(probe),
        "initialDelaySeconds": math.ceil(probe.initial_delay_seconds),
        "periodSeconds": math.ceil(probe.period_seconds),
        "timeoutSeconds": math.ceil(probe.timeout_seconds),
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    }


def _kind(probe: ReadinessProbe) -> dict[str, Any]:
    if http := probe.http_get:
        headers = [{"name": name, "value": value} for name, value in http.headers.items()]
        return {
            "httpGet": _given(
                path=http.path,
                port=http.port,
                scheme=http.scheme.upper(),
                host=http.host,
                httpHeaders=headers,
            )
        }
    if tcp := probe.tcp_socket:
        return {"tcpSocket": _given(port=tcp.port, host=tcp.host)}
    if grpc := probe.grpc:
        return {"grpc": _given(port=grpc.port, service=grpc.service)}
    return {"exec": {"command": list(probe.exec.command if probe.exec else ())}}


def _given(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}
