# SPDX-License-Identifier: Apache-2.0
"""Names and numbers that Istio's data plane agrees on."""

from __future__ import annotations

from typing import Final

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006

PASSTHROUGH: Final = "PassthroughCluster"
BLACK_HOLE: Final = "BlackHoleCluster"
INBOUND_PASSTHROUGH: Final = "InboundPassthroughCluster"

ANY_V4: Final = "0.0.0.0"  # noqa: S104 - listeners of the capture, most of them never bound
ANY_V6: Final = "::"

# Envoy's connections to the workload itself come from here, so that the redirection lets them pass.
INBOUND_SOURCE_V4: Final = "127.0.0.6"
INBOUND_SOURCE_V6: Final = "::6"

# What clients of the mesh offer. A server of ours selects none of these, it only matches on them.
MESH_HTTP1: Final = ("istio-http/1.1", "istio", "http/1.1")
MESH_HTTP2: Final = ("istio-h2", "istio", "h2")
MESH_TCP: Final = ("istio",)
MESH_ALPN: Final = (
    "istio",
    "istio-peer-exchange",
    "istio-http/1.0",
    "istio-http/1.1",
    "istio-h2",
)


def outbound(host: str, port: int, subset: str = "") -> str:
    """Return the cluster of a service port, or of a subset of it."""
    return f"outbound|{port}|{subset}|{host}"


def sni(host: str, port: int, subset: str = "") -> str:
    """Return the server name that means this cluster; also its cluster on an east-west gateway."""
    return f"outbound_.{port}_.{subset}_.{host}"


def inbound(port: int) -> str:
    """Return the cluster of one of the workload's own ports."""
    return f"inbound|{port}||"


def listener(address: str, port: int) -> str:
    """Return the name of the listener for an address, which need not be bound."""
    return f"{address}_{port}"
