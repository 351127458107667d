# SPDX-License-Identifier: Apache-2.0
"""Ports and addresses of the mesh on a host, as Istio's (pure)."""

from __future__ import annotations

from typing import Final

OUTBOUND_PORT: Final = 15001
INBOUND_PORT: Final = 15006
DNS_PORT: Final = 15053
CAPTURE_PORTS: Final = (OUTBOUND_PORT, INBOUND_PORT)

SSH_PORT: Final = 22
MESH_PORTS: Final = (*CAPTURE_PORTS, 15008, 15020, 15021, 15090)
"""Tunnel, agent's status, Envoy's health and metrics are Envoy's or the agent's own; the capture
ports take nothing directly."""

ENVOY_SOURCE_IPV4: Final = "127.0.0.6"
ENVOY_SOURCE_IPV6: Final = "::6"
"""Where Envoy's connections to the application and the agent's probes come from."""
