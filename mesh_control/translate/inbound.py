# SPDX-License-Identifier: Apache-2.0
"""The listener that takes what others send to the workload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2

from mesh_control.model import MutualTls, Protocol, Proxy
from mesh_control.translate import names, tls
from mesh_control.translate.access_log import configured
from mesh_control.translate.authorization import http_filters, network_filters
from mesh_control.translate.filters import (
    inbound_http,
    original_destination,
    tcp_proxy,
    tls_inspector,
)
from mesh_control.translate.listeners import black_hole_chain, listener
from mesh_control.translate.mesh import Mesh
from mesh_control.translate.own_ports import OwnPort, own_ports
from mesh_control.translate.peers import peer_modes
from mesh_control.translate.wire import boolean, seconds, u32

# Time for a client's first bytes to show TLS. A server that speaks first waits as long, when it
# is called in plaintext; then the connection goes on as plaintext, where that is allowed.
_INSPECTION_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class _Match:
    """Which connections a chain takes, and whether it ends the mesh's TLS."""

    transport: str
    alpn: tuple[str, ...] = ()
    mutual: bool = False


_STRICT: Final = (_Match("tls", mutual=True),)
_PERMISSIVE_HTTP: Final = (_Match("tls", names.MESH_ALPN, mutual=True), _Match("raw_buffer"))
# TLS without one of the mesh's protocols is the application's own.
_PERMISSIVE_TCP: Final = (*_PERMISSIVE_HTTP, _Match("tls"))
_PLAIN_HTTP: Final = (_Match("raw_buffer"),)
# Nothing is ended here, so nothing needs to be looked at.
_PLAIN_TCP: Final = (_Match(""),)


def inbound_listener(mesh: Mesh, proxy: Proxy) -> listener_pb2.Listener:
    """Return ``virtualInbound``: a few chains per port of the workload, and those for the rest."""
    modes = peer_modes(mesh, proxy.namespace, proxy.labels)
    own = own_ports(mesh, proxy)
    served = {port.port for port in own}
    chains = [black_hole_chain(names.INBOUND_PORT)]
    chains += _passthrough(mesh, proxy, 0, modes.default)
    for port in sorted(set(modes.ports) - served):
        chains += _passthrough(mesh, proxy, port, modes.ports[port])
    for own_port in own:
        chains += _served(mesh, proxy, own_port, modes.of(own_port.port))
    result = listener("virtualInbound", proxy, names.INBOUND_PORT, chains)
    result.traffic_direction = base_pb2.INBOUND
    result.listener_filters.extend([original_destination(), tls_inspector()])
    result.listener_filters_timeout.CopyFrom(seconds(_INSPECTION_SECONDS))
    result.continue_on_listener_filters_timeout = True
    return result


def _served(
    mesh: Mesh, proxy: Proxy, own: OwnPort, mode: MutualTls
) -> Iterator[listener_components_pb2.FilterChain]:
    cluster = names.inbound(own.port)
    log = configured(mesh.config.access_log_file)
    name = names.listener(names.ANY_V4, own.port)
    if own.protocol.is_http:
        http = inbound_http(f"inbound_{name}", _routes(own), http_filters(mesh, proxy), log)
        yield from _chains(mesh, name, own.port, _http_matches(mode), [http])
    else:
        filters = [*network_filters(mesh, proxy), tcp_proxy({cluster: 1}, log)]
        yield from _chains(mesh, name, own.port, _tcp_matches(mode), filters)


def _passthrough(
    mesh: Mesh, proxy: Proxy, port: int, mode: MutualTls
) -> Iterator[listener_components_pb2.FilterChain]:
    log = configured(mesh.config.access_log_file)
    filters = [*network_filters(mesh, proxy), tcp_proxy({names.INBOUND_PASSTHROUGH: 1}, log)]
    yield from _chains(mesh, "virtualInbound", port, _tcp_matches(mode), filters)


def _chains(
    mesh: Mesh,
    name: str,
    port: int,
    matches: Sequence[_Match],
    filters: Sequence[listener_components_pb2.Filter],
) -> Iterator[listener_components_pb2.FilterChain]:
    for match in matches:
        chain = listener_components_pb2.FilterChain(
            name=name,
            filter_chain_match=listener_components_pb2.FilterChainMatch(
                destination_port=u32(port) if port else None,
                transport_protocol=match.transport,
                application_protocols=match.alpn,
            ),
            filters=filters,
        )
        if match.mutual:
            chain.transport_socket.CopyFrom(tls.server(mesh.trust_domain))
        yield chain


def _http_matches(mode: MutualTls) -> tuple[_Match, ...]:
    return {
        MutualTls.STRICT: _STRICT,
        MutualTls.PERMISSIVE: _PERMISSIVE_HTTP,
        MutualTls.DISABLE: _PLAIN_HTTP,
    }[mode]


def _tcp_matches(mode: MutualTls) -> tuple[_Match, ...]:
    return {
        MutualTls.STRICT: _STRICT,
        MutualTls.PERMISSIVE: _PERMISSIVE_TCP,
        MutualTls.DISABLE: _PLAIN_TCP,
    }[mode]


def _routes(own: OwnPort) -> route_pb2.RouteConfiguration:
    """Everything goes to the workload; how long it takes is the client's to limit."""
    cluster = names.inbound(own.port)
    action = route_components_pb2.RouteAction(
        cluster=cluster,
        timeout=seconds(0),
        max_stream_duration=route_components_pb2.RouteAction.MaxStreamDuration(
            max_stream_duration=seconds(0), grpc_timeout_header_max=seconds(0)
        ),
    )
    if own.protocol is not Protocol.GRPC:
        # A server may close an idle connection at the moment that a request is sent on it.
        action.retry_policy.retry_on = "reset-before-request"
        action.retry_policy.num_retries.CopyFrom(u32(2))
    everything = route_components_pb2.Route(
        name="default",
        match=route_components_pb2.RouteMatch(prefix="/"),
        route=action,
    )
    host = route_components_pb2.VirtualHost(
        name=f"inbound|http|{own.service_port}", domains=["*"], routes=[everything]
    )
    return route_pb2.RouteConfiguration(
        name=cluster, virtual_hosts=[host], validate_clusters=boolean(False)
    )
