# SPDX-License-Identifier: Apache-2.0
"""The listeners that take what the workload sends: one bound, the others chosen by destination."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2

from mesh_control.model import Protocol, Proxy, Resolution, Service, ServicePort
from mesh_control.translate import names
from mesh_control.translate.access_log import configured, proof
from mesh_control.translate.api.mesh_config import OutboundMode
from mesh_control.translate.filters import outbound_http, tcp_proxy, tls_inspector
from mesh_control.translate.hosts import usable
from mesh_control.translate.listeners import any_addresses, black_hole_chain, listener
from mesh_control.translate.mesh import Mesh
from mesh_control.translate.routes import http_ports
from mesh_control.translate.tcp_route import outbound_chains
from mesh_control.translate.wire import boolean, seconds


def outbound_listeners(mesh: Mesh, proxy: Proxy) -> Iterable[listener_pb2.Listener]:
    """Return ``virtualOutbound``, a listener per HTTP port and one per address of other ports.

    Names are distinct: of two services with an address and port in common the first host's counts.
    """
    found = {"virtualOutbound": _virtual(mesh, proxy)}
    for number in http_ports(mesh):
        http = _http(mesh, proxy, number)
        found[http.name] = http
    for service in mesh.services.values():
        for port in service.ports:
            tcp = _tcp(mesh, proxy, service, port)
            if tcp is not None:
                _share(found.setdefault(tcp.name, tcp), tcp)
    return found.values()


def _share(first: listener_pb2.Listener, other: listener_pb2.Listener) -> None:
    """Let services that are told apart by server names have one listener."""
    if first is other or not (
        first.HasField("default_filter_chain") and other.HasField("default_filter_chain")
    ):
        return
    taken = {n for chain in first.filter_chains for n in chain.filter_chain_match.server_names}
    first.filter_chains.extend(
        chain
        for chain in other.filter_chains
        if chain.filter_chain_match.server_names
        and taken.isdisjoint(chain.filter_chain_match.server_names)
    )


def _virtual(mesh: Mesh, proxy: Proxy) -> listener_pb2.Listener:
    chains = [
        black_hole_chain(names.OUTBOUND_PORT),
        listener_components_pb2.FilterChain(
            name="virtualOutbound-catchall-tcp", filters=[_elsewhere(mesh)]
        ),
    ]
    result = listener("virtualOutbound", proxy, names.OUTBOUND_PORT, chains)
    result.use_original_dst.CopyFrom(boolean(True))
    result.traffic_direction = base_pb2.OUTBOUND
    return result


def _http(mesh: Mesh, proxy: Proxy, port: int) -> listener_pb2.Listener:
    name = names.listener(any_addresses(proxy)[0], port)
    log = [proof(), *configured(mesh.config.access_log_file)]
    http = outbound_http(f"outbound_{name}", str(port), log)
    return _unbound(
        listener(name, proxy, port, [listener_components_pb2.FilterChain(filters=[http])])
    )


def _tcp(
    mesh: Mesh, proxy: Proxy, service: Service, port: ServicePort
) -> listener_pb2.Listener | None:
    """Return the listener of a port that is not HTTP's; None when nothing would tell its calls.

    Without an address of its own a service can be known by its server name, on every address of
    the port; or it is wherever the client goes (resolution NONE).
    """
    if port.protocol.is_http:
        return None
    addresses = usable(proxy, service.addresses)
    by_name = port.protocol in (Protocol.TLS, Protocol.HTTPS) and not addresses
    if not (addresses or by_name or service.resolution is Resolution.NONE):
        return None
    log = [proof(), *configured(mesh.config.access_log_file)]
    own_names = (service.host,) if by_name else ()
    chains = outbound_chains(mesh, proxy, service, port, log, own_names)
    first = addresses[0] if addresses else any_addresses(proxy)[0]
    result = listener(names.listener(first, port.number), proxy, port.number, chains, addresses)
    if any(chain.filter_chain_match.server_names for chain in chains):
        result.listener_filters.append(tls_inspector())
    if by_name:
        result.default_filter_chain.filters.append(_elsewhere(mesh))
    return _unbound(result)


def _elsewhere(mesh: Mesh) -> listener_components_pb2.Filter:
    """Return the filter for destinations that no service has."""
    open_to_all = mesh.config.outbound_traffic_policy.mode is OutboundMode.ALLOW_ANY
    cluster = names.PASSTHROUGH if open_to_all else names.BLACK_HOLE
    return tcp_proxy({cluster: 1}, [proof(), *configured(mesh.config.access_log_file)])


def _unbound(result: listener_pb2.Listener) -> listener_pb2.Listener:
    """Only ``virtualOutbound`` is bound: it hands connections over by where they were going."""
    result.bind_to_port.CopyFrom(boolean(False))
    result.traffic_direction = base_pb2.OUTBOUND
    result.listener_filters_timeout.CopyFrom(seconds(0))
    result.continue_on_listener_filters_timeout = True
    return result
