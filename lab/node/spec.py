# SPDX-License-Identifier: Apache-2.0
"""What the nodes of a lab are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from lab.spec import Network

# What every node's pods are a part of, and the address that pods ask for names: as image/ has them.
POD_RANGE = IPv4Network("10.244.0.0/16")
DNS_ADDRESS = "10.96.0.10"


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its name, its address on the lab's network, and the range of its pods."""

    name: str
    address: IPv4Address
    pods: IPv4Network


@dataclass(frozen=True, slots=True)
class NodeSet:
    """The nodes of one lab, on one of its networks; `nameserver` is what they ask for names."""

    lab: str
    network: Network
    nodes: tuple[Node, ...]
    nameserver: IPv4Address

    @property
    def subnet(self) -> IPv4Network:
        """The IPv4 subnet of the network."""
        return next(s for s in self.network.subnets if isinstance(s, IPv4Network))


def node_set(lab: str, network: Network, addresses: Sequence[str], nameserver: str) -> NodeSet:
    """Nodes node1, node2... at these addresses, each with a /24 of the pods' range."""
    ranges = list(POD_RANGE.subnets(new_prefix=24))
    nodes = tuple(
        Node(f"node{number}", IPv4Address(address), ranges[number])
        for number, address in enumerate(addresses, start=1)
    )
    return NodeSet(lab, network, nodes, IPv4Address(nameserver))
