# SPDX-License-Identifier: Apache-2.0
"""A small mesh to translate, and the way back from bytes to messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2
from google.protobuf import any_pb2

from mesh_control.model import (
    Document,
    Endpoint,
    MeshSnapshot,
    NetworkGateway,
    Protocol,
    Proxy,
    Resolution,
    Service,
    ServicePort,
)
from mesh_control.translate import Resources, translate
from mesh_core.wire import types
from mesh_core.wire.messages import NameTable

MESSAGES: Mapping[str, Any] = {
    types.CLUSTER: cluster_pb2.Cluster,
    types.ENDPOINT: endpoint_pb2.ClusterLoadAssignment,
    types.LISTENER: listener_pb2.Listener,
    types.ROUTE: route_pb2.RouteConfiguration,
    types.NAME_TABLE: NameTable,
}
_KINDS = {
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "Gateway": "gateways",
    "PeerAuthentication": "peer_authentications",
    "AuthorizationPolicy": "authorization_policies",
}


def spiffe(account: str, namespace: str = "shop") -> str:
    return f"spiffe://cluster.local/ns/{namespace}/sa/{account}"


def endpoint(address: str, port: int, service_port: str, app: str, **changes: Any) -> Endpoint:
    made = Endpoint(
        address=address,
        port=port,
        service_port=service_port,
        network="network-1",
        namespace="shop",
        service_account=app,
        workload=f"{app}-{address}",
        labels={"app": app},
    )
    return replace(made, **changes)


def service(name: str, address: str, port: ServicePort, *endpoints: Endpoint) -> Service:
    return Service(
        host=f"{name}.shop.svc.cluster.local",
        name=name,
        namespace="shop",
        registry="Kubernetes",
        addresses=(address,) if address else (),
        ports=(port,),
        resolution=Resolution.STATIC,
        endpoints=endpoints,
        service_accounts=(spiffe(name),),
    )


def port(name: str, number: int, protocol: Protocol, target: int = 0) -> ServicePort:
    return ServicePort(name, number, protocol, target or number)


V1 = endpoint("10.231.1.21", 8080, "http", "api", labels={"app": "api", "version": "v1"})
V2 = endpoint("10.231.1.22", 8080, "http", "api", labels={"app": "api", "version": "v2"})
API = service("api", "240.240.0.1", port("http", 80, Protocol.HTTP, 8080), V1, V2)
WEB = service(
    "web",
    "240.240.0.2",
    port("http", 80, Protocol.HTTP),
    endpoint("10.231.1.11", 80, "http", "web"),
)
DB = service(
    "db",
    "240.240.0.3",
    port("tcp-postgres", 5432, Protocol.TCP),
    endpoint("10.231.2.31", 5432, "tcp-postgres", "db", network="network-2"),
)
GATEWAYS = (
    NetworkGateway("network-1", "10.231.2.2", 15443),
    NetworkGateway("network-2", "10.231.1.2", 15443),
)


def document(
    kind: str, spec: Mapping[str, object], name: str = "it", namespace: str = "shop", **more: Any
) -> Document:
    made = Document(kind, name, namespace, {}, {}, spec, f"{name}.yaml[0]")
    return replace(made, **more)


def snapshot(
    *documents: Document,
    services: tuple[Service, ...] = (API, WEB, DB),
    gateways: tuple[NetworkGateway, ...] = GATEWAYS,
    mesh_config: Mapping[str, object] | None = None,
) -> MeshSnapshot:
    by_kind: dict[str, Any] = {
        field: tuple(d for d in documents if d.kind == kind) for kind, field in _KINDS.items()
    }
    return MeshSnapshot(
        trust_domain="cluster.local",
        version="1",
        root_namespace="istio-system",
        services={s.host: s for s in services},
        workloads={},
        network_gateways=gateways,
        mesh_config=mesh_config or {},
        **by_kind,
    )


def sidecar(app: str, *addresses: str, **changes: Any) -> Proxy:
    made = Proxy(
        id=f"sidecar~{addresses[0]}~{app}.shop~shop.svc.cluster.local",
        kind="sidecar",
        addresses=addresses,
        name=app,
        namespace="shop",
        service_account=app,
        labels={"app": app},
        network="network-1",
        network_view=(),
        domain="shop.svc.cluster.local",
        metadata={"CLUSTER_ID": "mesh1"},
    )
    return replace(made, **changes)


def router(*view: str, **changes: Any) -> Proxy:
    made = Proxy(
        id="router~10.231.1.2~gateway.istio-system~istio-system.svc.cluster.local",
        kind="router",
        addresses=("10.231.1.2", "10.231.2.2"),
        name="gateway",
        namespace="istio-system",
        service_account="gateway",
        labels={"istio": "eastwestgateway"},
        network="network-1",
        network_view=view,
        domain="istio-system.svc.cluster.local",
        metadata={},
    )
    return replace(made, **changes)


CLIENT = sidecar("web", "10.231.1.11")
SERVER = sidecar("api", "10.231.1.21", labels={"app": "api", "version": "v1"})
DATABASE = sidecar("db", "10.231.2.31", network="network-2")

AUTO_PASSTHROUGH = document(
    "Gateway",
    {
        "selector": {"istio": "eastwestgateway"},
        "servers": [
            {
                "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
                "tls": {"mode": "AUTO_PASSTHROUGH"},
                "hosts": ["*.local"],
            }
        ],
    },
    name="cross-network",
    namespace="istio-system",
)
STRICT = document(
    "PeerAuthentication", {"mtls": {"mode": "STRICT"}}, name="strict", namespace="istio-system"
)
SUBSETS = document(
    "DestinationRule",
    {
        "host": "api",
        "subsets": [
            {"name": "v1", "labels": {"version": "v1"}},
            {"name": "v2", "labels": {"version": "v2"}},
        ],
    },
)


class Decoded:
    """Resources as messages."""

    def __init__(self, resources: Resources) -> None:
        self._messages = {
            type_url: {name: _decode(type_url, body) for name, body in by_name.items()}
            for type_url, by_name in resources.items()
        }

    @property
    def clusters(self) -> dict[str, Any]:
        return self._messages[types.CLUSTER]

    @property
    def endpoints(self) -> dict[str, Any]:
        return self._messages[types.ENDPOINT]

    @property
    def listeners(self) -> dict[str, Any]:
        return self._messages[types.LISTENER]

    @property
    def routes(self) -> dict[str, Any]:
        return self._messages[types.ROUTE]

    @property
    def names(self) -> dict[str, Any]:
        return dict(self._messages[types.NAME_TABLE][""].table)


def decoded(mesh: MeshSnapshot, proxy: Proxy) -> Decoded:
    return Decoded(translate(mesh, proxy))


def unpacked(packed: any_pb2.Any, cls: Any) -> Any:
    message = cls()
    assert packed.Unpack(message), packed.type_url
    return message


def filter_named(chain: Any, name: str, cls: Any) -> Any:
    """The configuration of a chain's (or connection manager's) filter."""
    filters = chain.filters if hasattr(chain, "filters") else chain.http_filters
    (found,) = (f for f in filters if f.name == name)
    return unpacked(found.typed_config, cls)


def addresses(assignment: Any) -> list[tuple[str, int, int]]:
    """Address, port and weight of all endpoints."""
    return [
        (
            e.endpoint.address.socket_address.address,
            e.endpoint.address.socket_address.port_value,
            e.load_balancing_weight.value,
        )
        for locality in assignment.endpoints
        for e in locality.lb_endpoints
    ]


def _decode(type_url: str, body: bytes) -> Any:
    packed = any_pb2.Any.FromString(body)
    assert packed.type_url == type_url
    return MESSAGES[type_url].FromString(packed.value)
