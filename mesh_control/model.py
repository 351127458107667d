# SPDX-License-Identifier: Apache-2.0
"""The mesh as values: what the registry knows and the translation reads. No I/O, no protobuf.

A `MeshSnapshot` is immutable: the registry makes a new one on each change, the translation turns
``(MeshSnapshot, Proxy)`` into Envoy resources. Names follow Istio's: host is the fully qualified
name of a service, a subset is a DestinationRule's named set of labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Labels = Mapping[str, str]


class Protocol(StrEnum):
    """Of a service port, from ``appProtocol`` or the ``<protocol>[-suffix]`` of its name."""

    HTTP = "http"
    HTTP2 = "http2"
    GRPC = "grpc"
    TCP = "tcp"
    TLS = "tls"
    HTTPS = "https"
    AUTO = "auto"

    @property
    def is_http(self) -> bool:
        """Whether routes (RDS) apply; AUTO is treated as TCP until sniffing is supported."""
        return self in (Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC)

    @property
    def is_http2(self) -> bool:
        """Whether the upstream connection speaks HTTP/2."""
        return self in (Protocol.HTTP2, Protocol.GRPC)


class MutualTls(StrEnum):
    """PeerAuthentication's modes, UNSET resolved away by the registry."""

    STRICT = "STRICT"
    PERMISSIVE = "PERMISSIVE"
    DISABLE = "DISABLE"


class Resolution(StrEnum):
    """How a service's endpoints are found (Kubernetes Services: STATIC)."""

    STATIC = "STATIC"
    DNS = "DNS"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port that clients name: ``number`` on the service, ``target`` on the workload."""

    name: str
    number: int
    protocol: Protocol
    target: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One workload behind one service port, as an address that its own network can reach."""

    address: str
    port: int  # on the workload (already resolved from target port and the entry's ports map)
    service_port: str  # name of the ServicePort
    network: str
    namespace: str
    service_account: str
    workload: str  # name of the WorkloadEntry
    labels: Labels
    locality: str = ""
    weight: int = 1
    mutual_tls: bool = True  # whether an Envoy of the mesh terminates TLS in front of it
    healthy: bool = True  # others are sent to healthy ones only; its own listeners stay as they are


@dataclass(frozen=True, slots=True)
class Service:
    """A name of the mesh. ``addresses`` are virtual, given or allocated."""

    host: str  # api.shop.svc.cluster.local, or a ServiceEntry's host
    name: str
    namespace: str
    registry: str  # "Kubernetes" | "External"
    addresses: tuple[str, ...]
    ports: tuple[ServicePort, ...]
    resolution: Resolution
    endpoints: tuple[Endpoint, ...]  # unhealthy ones too
    service_accounts: tuple[str, ...]  # SPIFFE ids that may answer for it
    external: bool = False  # MESH_EXTERNAL: no mutual TLS


@dataclass(frozen=True, slots=True)
class Workload:
    """A registered workload (WorkloadEntry) and where it can be reached."""

    name: str
    namespace: str
    service_account: str
    address: str
    network: str
    labels: Labels
    ports: Mapping[str, int] = field(default_factory=dict)
    locality: str = ""
    weight: int = 1
    group: str = ""  # WorkloadGroup it was auto-registered against
    healthy: bool = True


@dataclass(frozen=True, slots=True)
class NetworkGateway:
    """An east-west gateway of a network: how other networks reach it."""

    network: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Document:
    """One validated object of Istio's or Kubernetes' API.

    ``spec`` is plain data as it was written, defaults not filled;
    ``where`` names file and document for messages, e.g. ``shop.yaml[2]``.
    """

    kind: str
    name: str
    namespace: str
    labels: Labels
    annotations: Labels
    spec: Mapping[str, object]
    where: str
    created: int = 0  # order of appearance: the older one wins a conflict, as in Istio


@dataclass(frozen=True, slots=True)
class MeshSnapshot:
    """Everything that decides what proxies get, at one moment."""

    trust_domain: str
    version: str
    root_namespace: str
    services: Mapping[str, Service]  # by host
    workloads: Mapping[str, Workload]  # by namespace/name
    network_gateways: tuple[NetworkGateway, ...]
    virtual_services: tuple[Document, ...]
    destination_rules: tuple[Document, ...]
    gateways: tuple[Document, ...]
    peer_authentications: tuple[Document, ...]
    authorization_policies: tuple[Document, ...]
    mesh_config: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Who asks, from the node of its first request (Istio's node metadata) and its certificate."""

    id: str  # sidecar~10.0.0.1~api-1.shop~shop.svc.cluster.local
    kind: str  # "sidecar" | "router"
    addresses: tuple[str, ...]  # INSTANCE_IPS, first one is the workload's
    name: str
    namespace: str
    service_account: str
    labels: Labels
    network: str
    network_view: tuple[str, ...]  # REQUESTED_NETWORK_VIEW; empty: its own network
    domain: str  # shop.svc.cluster.local
    metadata: Mapping[str, object]

    @property
    def ipv6(self) -> bool:
        """Whether listeners bind IPv6 too: one of its addresses is IPv6."""
        return any(":" in a for a in self.addresses)

    @property
    def ipv4(self) -> bool:
        """Whether listeners bind IPv4."""
        return any(":" not in a for a in self.addresses) or not self.addresses

    def reaches(self, network: str) -> bool:
        """Whether endpoints of ``network`` are reached directly, not through a gateway."""
        view = self.network_view or (self.network,)
        return not network or not any(view) or network in view
