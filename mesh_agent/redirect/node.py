# SPDX-License-Identifier: Apache-2.0
"""Redirection on a Kubernetes node: as little as possible (pure).

Kubelet, the container runtime, the network plugin and kube-proxy are programs of the host, too,
and must work with a mesh that does not. So the default is reversed: nothing is captured but calls
to addresses of the mesh, and calls to the ports of the host's own workload. What pods do is
forwarded traffic, which is never captured.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Sequence
from typing import Final

from mesh_agent.redirect.settings import RedirectSettings

MESH_ADDRESSES: Final = ("240.240.0.0/16", "2001:2::/48")
"""What control planes give to services that have no address: istiod's ranges, and ours."""

CLUSTER_PORTS: Final = (2379, 2380, 6443, 10250, 10255, 10256, 10257, 10259)
"""etcd, API server, kubelet, kube-proxy, controller-manager and scheduler."""

NODE_PORTS: Final = range(30000, 32768)
"""Kubernetes' default range: kube-proxy's."""


def on_node(settings: RedirectSettings, ports: Sequence[int]) -> RedirectSettings:
    """Return the settings as they are for a node whose workload serves these ports."""
    return dataclasses.replace(
        settings,
        include_inbound_ports=(
            tuple(ports)
            if settings.include_inbound_ports is None
            else settings.include_inbound_ports
        ),
        include_outbound_cidrs=settings.include_outbound_cidrs or MESH_ADDRESSES,
        exclude_outbound_ports=(*settings.exclude_outbound_ports, *CLUSTER_PORTS),
    )


def check(settings: RedirectSettings, ports: Sequence[int], addresses: Sequence[str]) -> None:
    """Refuse what would cut the node off; ValueError names the field. ``addresses``: the node's."""
    for where, numbers in (
        ("workload.ports", ports),
        ("redirect.include_inbound_ports", settings.include_inbound_ports or ()),
    ):
        for index, port in enumerate(numbers):
            if port in CLUSTER_PORTS or port in NODE_PORTS:
                raise ValueError(
                    f"{where}[{index}]: expected a port of the node's workload, found {port}, "
                    "which is Kubernetes' own"
                )
    for index, cidr in enumerate(settings.include_outbound_cidrs):
        network = ipaddress.ip_network(cidr)
        for address in ("127.0.0.1", "::1", *addresses):
            if ipaddress.ip_address(address) in network:
                raise ValueError(
                    f"redirect.include_outbound_cidrs[{index}]: expected addresses of the mesh, "
                    f"found {cidr}, which holds the node's own address {address}: kubelet's "
                    "probes would be captured"
                )
