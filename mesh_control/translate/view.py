# SPDX-License-Identifier: Apache-2.0
"""Who looks, and at what: the keys under which clusters and endpoints are made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mesh_control.model import Proxy, Service, ServicePort
from mesh_control.translate.api.destination_rule import DestinationRule, Subset
from mesh_control.translate.hosts import is_address


@dataclass(frozen=True, slots=True)
class View:
    """All that endpoints depend on of a proxy: proxies with an equal view share them."""

    namespace: str
    reached: frozenset[str]  # networks of the mesh that it reaches without a gateway
    confined: bool  # it asked for these networks and gets no others
    ipv4: bool
    ipv6: bool
    cluster_id: str

    @classmethod
    def of(cls, proxy: Proxy, networks: Iterable[str]) -> View:
        """Return the view that ``proxy`` has of ``networks``."""
        return cls(
            namespace=proxy.namespace,
            reached=frozenset(n for n in networks if proxy.reaches(n)),
            confined=any(proxy.network_view),
            ipv4=proxy.ipv4,
            ipv6=proxy.ipv6,
            cluster_id=str(proxy.metadata.get("CLUSTER_ID", "")),
        )

    def connects(self, address: str) -> bool:
        """Whether the proxy has an address of the family; a name may resolve to either."""
        if not is_address(address):
            return True
        return self.ipv6 if ":" in address else self.ipv4


@dataclass(frozen=True, slots=True)
class Target:
    """A cluster of a service: its port, perhaps a subset, and the rule they come from."""

    service: Service
    port: ServicePort
    rule: DestinationRule | None = None
    subset: Subset | None = None
