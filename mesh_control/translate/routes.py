# SPDX-License-Identifier: Apache-2.0
"""Routes of a workload's requests: a configuration per HTTP port, a virtual host per service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envoy.config.route.v3 import route_components_pb2, route_pb2

from mesh_control.model import Proxy, Service, ServicePort
from mesh_control.translate import names
from mesh_control.translate.api.mesh_config import OutboundMode
from mesh_control.translate.hosts import header_domains
from mesh_control.translate.http_route import default_route, routes_of
from mesh_control.translate.mesh import Mesh, gateways_of
from mesh_control.translate.wire import boolean, seconds, u32

_LARGEST_BODY = 1024 * 1024  # bytes of a direct response
_PORT_OF_OTHER_HOSTS = 80


def http_ports(mesh: Mesh) -> list[int]:
    """Return the ports on which some service speaks HTTP."""
    ports = (port for service in mesh.services.values() for port in service.ports)
    return sorted({port.number for port in ports if port.protocol.is_http})


def route_configuration(mesh: Mesh, proxy: Proxy, port: int) -> route_pb2.RouteConfiguration:
    """Return the routes of port ``port``, named by its number."""
    hosts = list(_service_hosts(mesh, proxy, port))
    if port == _PORT_OF_OTHER_HOSTS:
        hosts += _other_hosts(mesh, proxy, port)
    return route_pb2.RouteConfiguration(
        name=str(port),
        virtual_hosts=[*_distinct(hosts), _catch_all(mesh)],
        validate_clusters=boolean(False),
        ignore_port_in_host_matching=True,
        max_direct_response_body_size_bytes=u32(_LARGEST_BODY),
    )


def _service_hosts(
    mesh: Mesh, proxy: Proxy, port: int
) -> Iterator[route_components_pb2.VirtualHost]:
    for service in mesh.services.values():
        service_port = next((p for p in service.ports if p.number == port), None)
        if service_port is None or not service_port.protocol.is_http:
            continue
        yield route_components_pb2.VirtualHost(
            name=f"{service.host}:{port}",
            domains=header_domains(service, proxy),
            routes=_routes(mesh, proxy, service, service_port),
        )


def _routes(
    mesh: Mesh, proxy: Proxy, service: Service, port: ServicePort
) -> list[route_components_pb2.Route]:
    for named in mesh.virtual_services_for(service.host):
        if routes := routes_of(mesh, proxy, named, port.number):
            return routes
    return [default_route(names.outbound(service.host, port.number))]


def _other_hosts(mesh: Mesh, proxy: Proxy, port: int) -> Iterator[route_components_pb2.VirtualHost]:
    """Hosts that a VirtualService routes and no service has, as Istio does on port 80."""
    for named in mesh.virtual_services:
        others = [host for host in named.spec.hosts if host not in mesh.services and host != "*"]
        if others and "mesh" in gateways_of(named):
            routes = routes_of(mesh, proxy, named, port)
            for host in others if routes else ():
                yield route_components_pb2.VirtualHost(
                    name=f"{host}:{port}", domains=[host], routes=routes
                )


def _distinct(
    hosts: Iterable[route_components_pb2.VirtualHost],
) -> Iterator[route_components_pb2.VirtualHost]:
    """Envoy refuses the whole configuration when two hosts share a domain: the first keeps it."""
    hosts = list(hosts)
    taken: set[str] = set()
    full = {domain for host in hosts for domain in list(host.domains)[:1]}
    used_names: set[str] = set()
    for host in hosts:
        first, *others = host.domains
        domains = [first, *(d for d in others if d not in full)]
        domains = [d for d in dict.fromkeys(domains) if d not in taken]
        if domains and host.name not in used_names:
            taken.update(domains)
            used_names.add(host.name)
            host.domains[:] = domains
            yield host


def _catch_all(mesh: Mesh) -> route_components_pb2.VirtualHost:
    everything = route_components_pb2.RouteMatch(prefix="/")
    if mesh.config.outbound_traffic_policy.mode is OutboundMode.REGISTRY_ONLY:
        name = "block_all"
        route = route_components_pb2.Route(
            name=name,
            match=everything,
            direct_response=route_components_pb2.DirectResponseAction(status=502),
        )
    else:
        name = "allow_any"
        route = route_components_pb2.Route(
            name=name,
            match=everything,
            route=route_components_pb2.RouteAction(cluster=names.PASSTHROUGH, timeout=seconds(0)),
        )
    return route_components_pb2.VirtualHost(name=name, domains=["*"], routes=[route])
