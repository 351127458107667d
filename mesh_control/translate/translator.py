# SPDX-License-Identifier: Apache-2.0
"""A snapshot and a proxy -> the proxy's resources."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeAlias

from mesh_control.model import MeshSnapshot, Proxy, Resolution
from mesh_control.translate import clusters
from mesh_control.translate.endpoints import load_assignment
from mesh_control.translate.gateway import gateway_listeners, passed_through, routed_clusters
from mesh_control.translate.hosts import cluster_domain
from mesh_control.translate.inbound import inbound_listener
from mesh_control.translate.mesh import Mesh, read_mesh
from mesh_control.translate.name_table import name_table
from mesh_control.translate.outbound import outbound_listeners
from mesh_control.translate.own_ports import own_ports
from mesh_control.translate.routes import http_ports, route_configuration
from mesh_control.translate.view import Target, View
from mesh_control.translate.wire import resource
from mesh_core.wire import types

Resources: TypeAlias = Mapping[str, Mapping[str, bytes]]
"""Type URL -> name of the resource -> serialised ``google.protobuf.Any`` of it.

Exactly what goes into ``DeltaDiscoveryResponse.resources[].resource`` or
``DiscoveryResponse.resources``. All five types are always there; a name table is named ``""``.
"""

_Named = dict[str, bytes]


class Translator:
    """Translates one snapshot for many proxies; what they have in common is made once.

    Pure but for its memory: the resources depend on the snapshot and the proxy alone, and equal
    resources are equal bytes.
    """

    def __init__(self, snapshot: MeshSnapshot) -> None:
        self._snapshot = snapshot
        self._made: dict[Hashable, Any] = {}

    def resources(self, proxy: Proxy) -> Resources:
        """Return all that ``proxy`` is to have.

        Raises:
            ConfigError: a document of the snapshot has a value that `problems` tells of.
        """
        domain = cluster_domain(proxy)
        mesh: Mesh = self._once((domain,), lambda: read_mesh(self._snapshot, domain))
        view = View.of(proxy, mesh.networks)
        router = proxy.kind == "router"
        made = self._router(mesh, proxy, view) if router else self._sidecar(mesh, proxy, view)
        table: bytes = self._once(
            ("names", domain, view, router), lambda: resource(name_table(mesh, proxy))
        )
        return {**made, types.NAME_TABLE: {"": table}}

    def _sidecar(self, mesh: Mesh, proxy: Proxy, view: View) -> dict[str, _Named]:
        all_targets = [
            target
            for service in mesh.services.values()
            for target in clusters.targets(mesh, service, proxy.namespace)
        ]
        key = (mesh.domain, view)
        shared: _Named = self._once(
            ("clusters", *key), lambda: _clusters(mesh, view, all_targets, clusters.outbound)
        )
        endpoints: _Named = self._once(
            ("endpoints", *key), lambda: _endpoints(mesh, view, all_targets, clusters.outbound_name)
        )
        labels = frozenset(i for i in proxy.labels.items() if i[0] in mesh.source_labels)
        likeness = (*key, labels)
        routes: _Named = self._once(
            ("routes", *likeness),
            lambda: _named(route_configuration(mesh, proxy, port) for port in http_ports(mesh)),
        )
        outbound: _Named = self._once(
            ("outbound", *likeness), lambda: _named(outbound_listeners(mesh, proxy))
        )
        own = [clusters.inbound(mesh, proxy, port) for port in own_ports(mesh, proxy)]
        fixed = [
            clusters.passthrough(),
            clusters.black_hole(),
            clusters.inbound_passthrough(proxy),
        ]
        return {
            types.CLUSTER: {**shared, **_named([*fixed, *own])},
            types.ENDPOINT: endpoints,
            types.LISTENER: {**outbound, **_named([inbound_listener(mesh, proxy)])},
            types.ROUTE: routes,
        }

    def _router(self, mesh: Mesh, proxy: Proxy, view: View) -> dict[str, _Named]:
        through = list(passed_through(mesh, proxy))
        wanted = routed_clusters(mesh, proxy)
        routed = [
            target
            for service in mesh.services.values()
            for target in clusters.targets(mesh, service, proxy.namespace)
            if clusters.outbound_name(target) in wanted
        ]
        return {
            types.CLUSTER: {
                **_named([clusters.black_hole()]),
                **_clusters(mesh, view, routed, clusters.outbound),
                **_clusters(mesh, view, through, clusters.passing_through),
            },
            types.ENDPOINT: {
                **_endpoints(mesh, view, routed, clusters.outbound_name),
                **_endpoints(mesh, view, through, clusters.sni_name, passing_through=True),
            },
            types.LISTENER: _named(gateway_listeners(mesh, proxy)),
            types.ROUTE: {},
        }

    def _once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def translate(snapshot: MeshSnapshot, proxy: Proxy) -> Resources:
    """Return what ``proxy`` is to have; for many proxies keep one `Translator` per snapshot."""
    return Translator(snapshot).resources(proxy)


def _clusters(
    mesh: Mesh, view: View, made_for: Iterable[Target], make: Callable[[Mesh, View, Target], Any]
) -> _Named:
    return _named(make(mesh, view, target) for target in made_for)


def _endpoints(
    mesh: Mesh,
    view: View,
    made_for: Iterable[Target],
    name: Callable[[Target], str],
    *,
    passing_through: bool = False,
) -> _Named:
    return {
        name(target): resource(
            load_assignment(mesh, view, name(target), target, passing_through=passing_through)
        )
        for target in made_for
        if target.service.resolution is Resolution.STATIC
    }


def _named(messages: Iterable[Any]) -> _Named:
    return {message.name: resource(message) for message in messages}
