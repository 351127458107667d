# SPDX-License-Identifier: Apache-2.0
"""Where connections go that are not HTTP: VirtualService.tcp and .tls, else the service itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.listener.v3 import listener_components_pb2

from mesh_control.model import Protocol, Proxy, Service, ServicePort
from mesh_control.translate import names
from mesh_control.translate.api.virtual_service import TcpMatch, TlsMatch
from mesh_control.translate.destinations import weighted_clusters
from mesh_control.translate.filters import tcp_proxy
from mesh_control.translate.mesh import Mesh, selects
from mesh_control.translate.policy import effective


def outbound_chains(
    mesh: Mesh,
    proxy: Proxy,
    service: Service,
    port: ServicePort,
    access_log: Sequence[accesslog_pb2.AccessLog],
    own_names: Sequence[str] = (),
) -> list[listener_components_pb2.FilterChain]:
    """Return the chains of a port of ``service``, by server names where rules ask for it.

    What no rule takes goes to the service; with ``own_names``, only what has one of these names.
    """
    pool = effective(mesh.destination_rule(service, proxy.namespace), port.number).connection_pool
    if port.protocol in (Protocol.TLS, Protocol.HTTPS):
        ways = list(_tls_routes(mesh, proxy, service, port))
    else:
        ways = [((), clusters) for clusters in _tcp_routes(mesh, proxy, service, port)]
    taken = {name for server_names, _unused in ways for name in server_names}
    own = tuple(name for name in own_names if name not in taken)
    if all(server_names for server_names, _unused in ways) and (own or not own_names):
        ways.append((own, {names.outbound(service.host, port.number): 1}))
    return [
        listener_components_pb2.FilterChain(
            filter_chain_match=listener_components_pb2.FilterChainMatch(server_names=server_names),
            filters=[
                tcp_proxy(
                    clusters,
                    access_log,
                    idle_timeout=pool.tcp.idle_timeout if pool else None,
                    maximum_duration=pool.tcp.max_connection_duration if pool else None,
                )
            ],
        )
        for server_names, clusters in ways
    ]


def _tls_routes(
    mesh: Mesh, proxy: Proxy, service: Service, port: ServicePort
) -> Iterator[tuple[tuple[str, ...], Mapping[str, int]]]:
    """Yield server names (none: all) and where they lead; each name once."""
    seen: set[str] = set()
    for named in mesh.virtual_services_for(service.host):
        for route in named.spec.tls:
            for match in route.match:
                hosts = tuple(h for h in dict.fromkeys(match.sni_hosts) if h not in seen)
                if hosts and _concerns(match, proxy, port):
                    seen.update(hosts)
                    clusters = weighted_clusters(mesh, named.namespace, route.route, port.number)
                    yield () if "*" in hosts else hosts, clusters


def _tcp_routes(
    mesh: Mesh, proxy: Proxy, service: Service, port: ServicePort
) -> Iterator[Mapping[str, int]]:
    """Yield the first route that matches: all of a connection's conditions are known here."""
    for named in mesh.virtual_services_for(service.host):
        for route in named.spec.tcp:
            if any(_concerns(match, proxy, port) for match in route.match or (TcpMatch(),)):
                yield weighted_clusters(mesh, named.namespace, route.route, port.number)
                return


def _concerns(match: TcpMatch | TlsMatch, proxy: Proxy, port: ServicePort) -> bool:
    if isinstance(match, TlsMatch) and match.gateways and "mesh" not in match.gateways:
        return False
    return (
        match.port in (0, port.number)
        and selects(match.source_labels, proxy.labels)
        and match.source_namespace in ("", proxy.namespace)
    )
