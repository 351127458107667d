# SPDX-License-Identifier: Apache-2.0
"""Endpoints of a service port as one proxy sees them: directly, or behind a network's gateways."""

from __future__ import annotations

import math
from collections.abc import Mapping

from envoy.config.core.v3 import base_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from mesh_control.model import (
    Endpoint,
    Labels,
    MutualTls,
    NetworkGateway,
    Resolution,
    Service,
    ServicePort,
)
from mesh_control.translate.api.destination_rule import TlsMode
from mesh_control.translate.hosts import is_address
from mesh_control.translate.mesh import Mesh, selects
from mesh_control.translate.peers import peer_modes
from mesh_control.translate.policy import effective
from mesh_control.translate.view import Target, View
from mesh_control.translate.wire import socket_address, struct, u32


def load_assignment(
    mesh: Mesh, view: View, name: str, target: Target, *, passing_through: bool = False
) -> endpoint_pb2.ClusterLoadAssignment:
    """Return the endpoints of a cluster, by locality.

    Endpoints of another network become its gateways, weighted by what stands behind; those
    without mutual TLS fall away there, as the gateway finds the way by SNI. A network without a
    known gateway counts as reached. ``passing_through`` is for clusters of such a gateway: only
    mutual TLS, and never on to another gateway.
    """
    gateways = _gateways(mesh, view)
    scale = math.lcm(*(len(found) for found in gateways.values() if found))
    localities: dict[str, dict[str, endpoint_components_pb2.LbEndpoint]] = {}
    for endpoint in _members(target):
        mutual = _mutual_tls(mesh, target, endpoint)
        via = gateways.get(endpoint.network) if endpoint.network not in view.reached else None
        if passing_through and (not mutual or endpoint.network not in view.reached):
            continue
        if endpoint.network not in view.reached and view.confined:
            continue
        found = localities.setdefault(endpoint.locality, {})
        weight = max(endpoint.weight, 1) * scale
        if via is None:
            if _addressable(target.service, view, endpoint):
                key = f"{endpoint.address}_{endpoint.port}"
                found[key] = _direct(endpoint, weight, mutual, view.cluster_id)
        elif mutual:
            for gateway in via:
                key = f"via {gateway.address}_{gateway.port}"
                entry = found.setdefault(key, _gateway(gateway))
                entry.load_balancing_weight.value += weight // len(via)
    return endpoint_pb2.ClusterLoadAssignment(
        cluster_name=name,
        endpoints=[_locality(loc, found) for loc, found in sorted(localities.items()) if found],
    )


def _members(target: Target) -> list[Endpoint]:
    labels: Labels = target.subset.labels if target.subset else {}
    service = target.service
    if service.resolution is Resolution.DNS and not service.endpoints:
        return [_itself(service, target.port)]
    members = [
        e
        for e in service.endpoints
        if e.healthy and e.service_port == target.port.name and selects(labels, e.labels)
    ]
    return sorted(members, key=lambda e: (e.address, e.port, e.workload))


def _itself(service: Service, port: ServicePort) -> Endpoint:
    """A service whose endpoints are what its own name resolves to."""
    return Endpoint(
        address=service.host,
        port=port.target,
        service_port=port.name,
        network="",
        namespace=service.namespace,
        service_account="",
        workload=service.name,
        labels={},
        mutual_tls=False,
    )


def _gateways(mesh: Mesh, view: View) -> Mapping[str, list[NetworkGateway]]:
    """Networks with gateways: those of them that the proxy can connect to, perhaps none."""
    result: dict[str, list[NetworkGateway]] = {}
    for gateway in mesh.network_gateways:
        usable = result.setdefault(gateway.network, [])
        if view.connects(gateway.address):
            usable.append(gateway)
    return result


def _mutual_tls(mesh: Mesh, target: Target, endpoint: Endpoint) -> bool:
    tls = effective(target.rule, target.port.number, target.subset).tls
    if tls is not None:
        return tls.mode is TlsMode.ISTIO_MUTUAL
    if target.service.external or not endpoint.mutual_tls:
        return False
    modes = peer_modes(mesh, endpoint.namespace, endpoint.labels)
    return modes.of(endpoint.port) is not MutualTls.DISABLE


def _addressable(service: Service, view: View, endpoint: Endpoint) -> bool:
    if service.resolution is not Resolution.DNS and not is_address(endpoint.address):
        return False
    return view.connects(endpoint.address)


def _direct(
    endpoint: Endpoint, weight: int, mutual: bool, cluster_id: str
) -> endpoint_components_pb2.LbEndpoint:
    result = _lb_endpoint(endpoint.address, endpoint.port, weight, mutual)
    workload = ";".join(
        (
            endpoint.workload,
            endpoint.namespace,
            _canonical_name(endpoint),
            _canonical_revision(endpoint.labels),
            cluster_id,
        )
    )
    result.metadata.filter_metadata["istio"].CopyFrom(struct({"workload": workload}))
    return result


def _gateway(gateway: NetworkGateway) -> endpoint_components_pb2.LbEndpoint:
    return _lb_endpoint(gateway.address, gateway.port, 0, mutual=True)


def _lb_endpoint(
    address: str, port: int, weight: int, mutual: bool
) -> endpoint_components_pb2.LbEndpoint:
    result = endpoint_components_pb2.LbEndpoint(
        endpoint=endpoint_components_pb2.Endpoint(address=socket_address(address, port)),
        health_status=health_check_pb2.HEALTHY,
        load_balancing_weight=u32(weight),
        metadata=base_pb2.Metadata(),
    )
    if mutual:
        match = struct({"tlsMode": "istio"})
        result.metadata.filter_metadata["envoy.transport_socket_match"].CopyFrom(match)
    return result


def _locality(
    locality: str, found: Mapping[str, endpoint_components_pb2.LbEndpoint]
) -> endpoint_components_pb2.LocalityLbEndpoints:
    region, zone, sub_zone, *_unused = (*locality.split("/"), "", "")
    return endpoint_components_pb2.LocalityLbEndpoints(
        locality=base_pb2.Locality(region=region, zone=zone, sub_zone=sub_zone),
        lb_endpoints=found.values(),
        load_balancing_weight=u32(sum(e.load_balancing_weight.value for e in found.values())),
    )


def _canonical_name(endpoint: Endpoint) -> str:
    labels = endpoint.labels
    for key in ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app"):
        if labels.get(key):
            return labels[key]
    return endpoint.workload


def _canonical_revision(labels: Labels) -> str:
    for key in ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"):
        if labels.get(key):
            return labels[key]
    return ""
