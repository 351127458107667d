# SPDX-License-Identifier: Apache-2.0
"""A gateway's listeners: TLS passed through by its server name, never ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from mesh_control.model import Proxy, Resolution
from mesh_control.translate import names
from mesh_control.translate.access_log import configured
from mesh_control.translate.api.gateway import Gateway, Server, ServerTlsMode
from mesh_control.translate.api.virtual_service import TlsMatch, VirtualService
from mesh_control.translate.clusters import sni_name, targets
from mesh_control.translate.destinations import weighted_clusters
from mesh_control.translate.filters import tcp_proxy, tls_inspector
from mesh_control.translate.hosts import covers
from mesh_control.translate.listeners import any_addresses, listener
from mesh_control.translate.mesh import Mesh, Named, gateways_of, selects
from mesh_control.translate.view import Target


@dataclass(frozen=True, slots=True)
class _Passage:
    """A way through a server: which names (none: all), where to, for the mesh's TLS only or any."""

    names: tuple[str, ...]
    clusters: Mapping[str, int]
    mesh_only: bool


def gateway_listeners(mesh: Mesh, proxy: Proxy) -> Iterator[listener_pb2.Listener]:
    """Yield one listener per port of the Gateways that select the proxy.

    A server name that no chain has is refused, and so is everything that is not TLS.
    """
    by_port: dict[int, list[tuple[str, _Passage]]] = {}
    for gateway, server in _servers(mesh, proxy):
        ways = by_port.setdefault(server.port.number, [])
        name = server.name or server.port.name
        ways += [(name, way) for way in _passages(mesh, proxy, gateway, server)]
    for port, ways in sorted(by_port.items()):
        chains = list(_chains(mesh, ways))
        if chains:
            name = names.listener(any_addresses(proxy)[0], port)
            result = listener(name, proxy, port, chains)
            result.traffic_direction = base_pb2.OUTBOUND
            result.listener_filters.append(tls_inspector())
            yield result


def passed_through(mesh: Mesh, proxy: Proxy) -> Iterator[Target]:
    """Yield what the AUTO_PASSTHROUGH servers lead to: each has a cluster named as its SNI."""
    patterns = {
        _name(host)
        for _unused, server in _servers(mesh, proxy)
        if server.tls.mode is ServerTlsMode.AUTO_PASSTHROUGH
        for host in server.hosts
    }
    return _targets(mesh, proxy, patterns)


def routed_clusters(mesh: Mesh, proxy: Proxy) -> set[str]:
    """Return the clusters that PASSTHROUGH servers lead to."""
    return {
        cluster
        for gateway, server in _servers(mesh, proxy)
        if server.tls.mode is ServerTlsMode.PASSTHROUGH
        for way in _passages(mesh, proxy, gateway, server)
        for cluster in way.clusters
    }


def _servers(mesh: Mesh, proxy: Proxy) -> Iterator[tuple[Named[Gateway], Server]]:
    for gateway in mesh.gateways:
        if selects(gateway.spec.selector, proxy.labels):
            for server in gateway.spec.servers:
                yield gateway, server


def _passages(
    mesh: Mesh, proxy: Proxy, gateway: Named[Gateway], server: Server
) -> Iterator[_Passage]:
    if server.tls.mode is ServerTlsMode.AUTO_PASSTHROUGH:
        for target in _targets(mesh, proxy, {_name(host) for host in server.hosts}):
            cluster = sni_name(target)
            yield _Passage((cluster,), {cluster: 1}, mesh_only=True)
        return
    gateway_name = f"{gateway.namespace}/{gateway.name}"
    for named in mesh.virtual_services:
        if gateway_name not in gateways_of(named) or not _serves(server, gateway, named):
            continue
        for route in named.spec.tls:
            for match in route.match:
                if _concerns(match, named.namespace, gateway_name, server):
                    clusters = weighted_clusters(
                        mesh, named.namespace, route.route, server.port.number
                    )
                    server_names = () if "*" in match.sni_hosts else match.sni_hosts
                    yield _Passage(server_names, clusters, mesh_only=False)


def _chains(
    mesh: Mesh, ways: Iterable[tuple[str, _Passage]]
) -> Iterator[listener_components_pb2.FilterChain]:
    """Of equal matches Envoy refuses the whole listener: the older object's counts."""
    taken: set[str] = set()
    for name, way in ways:
        server_names = [n for n in dict.fromkeys(way.names or ("",)) if n not in taken]
        if not server_names:
            continue
        taken.update(server_names)
        yield listener_components_pb2.FilterChain(
            name=name,
            filter_chain_match=listener_components_pb2.FilterChainMatch(
                transport_protocol="tls",
                server_names=[n for n in server_names if n],
                # With the choice of endpoints this keeps other TLS out; the rest is the peer's.
                application_protocols=names.MESH_ALPN if way.mesh_only else (),
            ),
            filters=[tcp_proxy(way.clusters, configured(mesh.config.access_log_file))],
        )


def _targets(mesh: Mesh, proxy: Proxy, patterns: set[str]) -> Iterator[Target]:
    for service in mesh.services.values():
        if service.external or service.resolution is not Resolution.STATIC:
            continue
        if any(covers(pattern, service.host) for pattern in patterns):
            yield from targets(mesh, service, proxy.namespace)


def _serves(server: Server, gateway: Named[Gateway], named: Named[VirtualService]) -> bool:
    """Whether one of the server's hosts, ``host`` or ``namespace/host``, is the rule's."""
    for host in server.hosts:
        namespace, _unused, pattern = host.rpartition("/")
        namespace = gateway.namespace if namespace == "." else namespace
        mine = namespace in ("", "*", named.namespace)
        if mine and any(covers(pattern, h) or covers(h, pattern) for h in named.spec.hosts):
            return True
    return False


def _concerns(match: TlsMatch, namespace: str, gateway: str, server: Server) -> bool:
    """Whether the match is for this server; bare gateway names are of the rule's namespace."""
    gateways = {g if "/" in g else f"{namespace}/{g}" for g in match.gateways}
    return match.port in (0, server.port.number) and (not gateways or gateway in gateways)


def _name(host: str) -> str:
    return host.rpartition("/")[2]
