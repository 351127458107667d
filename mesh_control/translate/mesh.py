# SPDX-License-Identifier: Apache-2.0
"""A snapshot with its documents read: what all parts of the translation look things up in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from mesh_control.model import Document, Labels, MeshSnapshot, NetworkGateway, Service
from mesh_control.translate.api.destination_rule import DestinationRule
from mesh_control.translate.api.gateway import Gateway
from mesh_control.translate.api.mesh_config import MeshConfig
from mesh_control.translate.api.reader import read
from mesh_control.translate.api.security import AuthorizationPolicy, PeerAuthentication
from mesh_control.translate.api.virtual_service import (
    HttpMatch,
    TcpMatch,
    TlsMatch,
    VirtualService,
)
from mesh_control.translate.hosts import most_specific, whole
from mesh_control.translate.supported import place

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """A document's spec, read, and whose it is."""

    name: str
    namespace: str
    spec: T


@dataclass(frozen=True, slots=True)
class Mesh:
    """The mesh of one snapshot; documents in order of age, the oldest first."""

    trust_domain: str
    root_namespace: str
    domain: str  # of short names, cluster.local
    services: Mapping[str, Service]  # by host, in the order of hosts
    networks: frozenset[str]  # that endpoints are in
    network_gateways: tuple[NetworkGateway, ...]
    config: MeshConfig
    virtual_services: tuple[Named[VirtualService], ...]  # hosts made whole
    source_labels: frozenset[str]  # keys of the clients' labels on which routes depend
    destination_rules: Mapping[str, Mapping[str, DestinationRule]]  # by namespace, whole host
    gateways: tuple[Named[Gateway], ...]
    peer_authentications: tuple[Named[PeerAuthentication], ...]
    authorization_policies: tuple[Named[AuthorizationPolicy], ...]

    def destination_rule(self, service: Service, namespace: str) -> DestinationRule | None:
        """Return the rule for clients in ``namespace``: theirs, the service's, the mesh's."""
        own = () if namespace == self.root_namespace else (namespace,)
        for owner in (*own, service.namespace, self.root_namespace):
            rules = self.destination_rules.get(owner, {})
            host = most_specific(rules, service.host)
            if host is not None:
                return rules[host]
        return None

    def virtual_services_for(self, host: str) -> list[Named[VirtualService]]:
        """Return what routes ``host`` in the mesh: the closest match first, then the oldest."""
        found = [
            (closest != host, -len(closest), named)
            for named in self.virtual_services
            if "mesh" in gateways_of(named)
            and (closest := most_specific(named.spec.hosts, host)) is not None
        ]
        return [named for *_unused, named in sorted(found, key=lambda match: match[:2])]


def read_mesh(snapshot: MeshSnapshot, domain: str) -> Mesh:
    """Read a snapshot's documents; ConfigError when a value in one cannot be translated."""
    virtual_services = tuple(
        replace(named, spec=_whole_hosts(named, domain))
        for named in _read_all(VirtualService, snapshot.virtual_services)
    )
    return Mesh(
        trust_domain=snapshot.trust_domain,
        root_namespace=snapshot.root_namespace,
        domain=domain,
        services={host.lower(): snapshot.services[host] for host in sorted(snapshot.services)},
        networks=frozenset(e.network for s in snapshot.services.values() for e in s.endpoints),
        network_gateways=tuple(
            sorted(snapshot.network_gateways, key=lambda g: (g.network, g.address, g.port))
        ),
        config=read(MeshConfig, snapshot.mesh_config, "MeshConfig"),
        virtual_services=virtual_services,
        source_labels=frozenset(
            key for v in virtual_services for m in _matches(v.spec) for key in m.source_labels
        ),
        destination_rules=_merge(_read_all(DestinationRule, snapshot.destination_rules), domain),
        gateways=_read_all(Gateway, snapshot.gateways),
        peer_authentications=_read_all(PeerAuthentication, snapshot.peer_authentications),
        authorization_policies=_read_all(AuthorizationPolicy, snapshot.authorization_policies),
    )


def selects(selector: Labels, labels: Labels) -> bool:
    """Whether ``labels`` has all of ``selector``; an empty selector selects everything."""
    return all(labels.get(key) == value for key, value in selector.items())


def gateways_of(named: Named[VirtualService]) -> set[str]:
    """Return a VirtualService's gateways as ``namespace/name``, and ``mesh``."""
    return {g if g == "mesh" or "/" in g else f"{named.namespace}/{g}" for g in named.spec.gateways}


def _read_all(cls: type[T], documents: Iterable[Document]) -> tuple[Named[T], ...]:
    ordered = sorted(documents, key=lambda d: (d.created, d.namespace, d.name))
    return tuple(Named(d.name, d.namespace, read(cls, d.spec, place(d))) for d in ordered)


def _whole_hosts(named: Named[VirtualService], domain: str) -> VirtualService:
    hosts = tuple(whole(host, named.namespace, domain) for host in named.spec.hosts)
    return replace(named.spec, hosts=hosts)


def _matches(spec: VirtualService) -> Iterator[HttpMatch | TlsMatch | TcpMatch]:
    yield from (match for route in spec.http for match in route.match)
    yield from (match for route in spec.tls for match in route.match)
    yield from (match for route in spec.tcp for match in route.match)


def _merge(
    rules: Iterable[Named[DestinationRule]], domain: str
) -> Mapping[str, Mapping[str, DestinationRule]]:
    """Several rules of a namespace for one host: the oldest policy, the subsets of all."""
    result: dict[str, dict[str, DestinationRule]] = {}
    for named in rules:
        host = whole(named.spec.host, named.namespace, domain)
        merged = result.setdefault(named.namespace, {})
        older = merged.get(host)
        if older is None:
            merged[host] = replace(named.spec, host=host)
            continue
        known = {subset.name for subset in older.subsets}
        merged[host] = replace(
            older,
            traffic_policy=older.traffic_policy or named.spec.traffic_policy,
            subsets=older.subsets + tuple(s for s in named.spec.subsets if s.name not in known),
        )
    return result
