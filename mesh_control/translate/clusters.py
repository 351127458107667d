# SPDX-License-Identifier: Apache-2.0
"""Clusters: of services and their subsets, of the workload's own ports, and of everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, config_source_pb2
from envoy.extensions.clusters.common.dns.v3 import dns_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2

from mesh_control.model import Proxy, Resolution, Service
from mesh_control.translate import names, tls
from mesh_control.translate.api.destination_rule import ConnectionPool, TlsMode
from mesh_control.translate.cluster_options import apply, limit, pass_protocol_on
from mesh_control.translate.endpoints import load_assignment
from mesh_control.translate.mesh import Mesh
from mesh_control.translate.own_ports import OwnPort
from mesh_control.translate.policy import Policy, effective
from mesh_control.translate.view import Target, View
from mesh_control.translate.wire import pack, seconds, struct

_NEVER: Final = 9223372035  # seconds, the longest that Envoy takes


def targets(mesh: Mesh, service: Service, namespace: str) -> Iterator[Target]:
    """Yield what clients in ``namespace`` can send to of a service: each port, each subset."""
    rule = mesh.destination_rule(service, namespace)
    for port in service.ports:
        for subset in (None, *(rule.subsets if rule else ())):
            yield Target(service, port, rule, subset)


def outbound_name(target: Target) -> str:
    """Return the name of a client's cluster."""
    subset = target.subset.name if target.subset else ""
    return names.outbound(target.service.host, target.port.number, subset)


def sni_name(target: Target) -> str:
    """Return the server name of a client's cluster, and the gateway's cluster for it."""
    subset = target.subset.name if target.subset else ""
    return names.sni(target.service.host, target.port.number, subset)


def outbound(mesh: Mesh, view: View, target: Target) -> cluster_pb2.Cluster:
    """Return a client's cluster, with mutual TLS towards endpoints that have it."""
    cluster = _service_cluster(mesh, view, target, outbound_name(target))
    policy = effective(target.rule, target.port.number, target.subset)
    apply(policy, target.port.protocol, cluster)
    _secure(target, policy, cluster)
    return cluster


def passing_through(mesh: Mesh, view: View, target: Target) -> cluster_pb2.Cluster:
    """Return an east-west gateway's cluster: the client's TLS goes through untouched."""
    cluster = _service_cluster(mesh, view, target, sni_name(target))
    policy = effective(target.rule, target.port.number, target.subset)
    apply(policy, target.port.protocol, cluster)
    return cluster


def inbound(mesh: Mesh, proxy: Proxy, own: OwnPort) -> cluster_pb2.Cluster:
    """Return the cluster of a port of the workload: the address that the client meant.

    Not loopback, so that a server which listens on the host's address only is found. Limits of
    the service's DestinationRule hold here too, so that one side's do not starve the other.
    """
    cluster = _original_destination(names.inbound(own.port))
    cluster.cleanup_interval.CopyFrom(seconds(_NEVER))
    cluster.upstream_bind_config.CopyFrom(_inbound_source(proxy))
    policy = effective(mesh.destination_rule(own.service, proxy.namespace), own.service_port)
    apply(Policy(connection_pool=policy.connection_pool), own.protocol, cluster)
    _describe(cluster, own.service)
    return cluster


def inbound_passthrough(proxy: Proxy) -> cluster_pb2.Cluster:
    """Return the cluster of the workload's other ports."""
    cluster = _original_destination(names.INBOUND_PASSTHROUGH)
    limit(ConnectionPool(), cluster)
    pass_protocol_on(cluster)
    cluster.upstream_bind_config.CopyFrom(_inbound_source(proxy))
    return cluster


def passthrough() -> cluster_pb2.Cluster:
    """Return the cluster of destinations that are no service of the mesh."""
    cluster = _original_destination(names.PASSTHROUGH)
    limit(ConnectionPool(), cluster)
    pass_protocol_on(cluster)
    return cluster


def black_hole() -> cluster_pb2.Cluster:
    """Return a cluster without endpoints: connections end here."""
    cluster = cluster_pb2.Cluster(name=names.BLACK_HOLE, type=cluster_pb2.Cluster.STATIC)
    cluster.connect_timeout.CopyFrom(seconds(10))
    return cluster


def _service_cluster(mesh: Mesh, view: View, target: Target, name: str) -> cluster_pb2.Cluster:
    if target.service.resolution is Resolution.NONE:
        cluster = _original_destination(name)
    elif target.service.resolution is Resolution.DNS:
        resolved = dns_cluster_pb2.DnsCluster(
            dns_lookup_family=_lookup_family(view), respect_dns_ttl=True
        )
        cluster = cluster_pb2.Cluster(
            name=name,
            cluster_type=cluster_pb2.Cluster.CustomClusterType(
                name="envoy.cluster.dns", typed_config=pack(resolved)
            ),
            load_assignment=load_assignment(mesh, view, name, target),
        )
    else:
        ads = config_source_pb2.ConfigSource(
            ads=config_source_pb2.AggregatedConfigSource(),
            initial_fetch_timeout=seconds(0),
            resource_api_version=config_source_pb2.V3,
        )
        cluster = cluster_pb2.Cluster(
            name=name,
            type=cluster_pb2.Cluster.EDS,
            eds_cluster_config=cluster_pb2.Cluster.EdsClusterConfig(
                eds_config=ads, service_name=name
            ),
        )
    _describe(cluster, target.service, target.subset.name if target.subset else "")
    return cluster


def _secure(target: Target, policy: Policy, cluster: cluster_pb2.Cluster) -> None:
    """Mutual TLS as the rule says; without one, per endpoint, by its metadata."""
    if policy.tls is not None and policy.tls.mode is TlsMode.DISABLE:
        return
    if policy.tls is None and (
        target.service.external or target.service.resolution is Resolution.NONE
    ):
        return
    identities = target.service.service_accounts
    server_name = sni_name(target)
    if policy.tls is not None:
        identities = policy.tls.subject_alt_names or identities
        server_name = policy.tls.sni or server_name
    socket = tls.client(server_name, sorted(identities), _alpn(target))
    if policy.tls is not None:
        cluster.transport_socket.CopyFrom(socket)
        return
    cluster.transport_socket_matches.add(
        name="tlsMode-istio", match=struct({"tlsMode": "istio"}), transport_socket=socket
    )
    cluster.transport_socket_matches.add(
        name="tlsMode-disabled", match=struct({}), transport_socket=tls.plaintext()
    )


def _alpn(target: Target) -> tuple[str, ...]:
    if not target.port.protocol.is_http:
        return names.MESH_TCP
    return names.MESH_HTTP2 if target.port.protocol.is_http2 else names.MESH_HTTP1


def _original_destination(name: str) -> cluster_pb2.Cluster:
    return cluster_pb2.Cluster(
        name=name,
        type=cluster_pb2.Cluster.ORIGINAL_DST,
        lb_policy=cluster_pb2.Cluster.CLUSTER_PROVIDED,
    )


def _lookup_family(view: View) -> int:
    if view.ipv4 and view.ipv6:
        return int(dns_pb2.ALL)
    return int(dns_pb2.V6_ONLY if view.ipv6 else dns_pb2.V4_ONLY)


def _inbound_source(proxy: Proxy) -> address_pb2.BindConfig:
    sources = [names.INBOUND_SOURCE_V4] if proxy.ipv4 else []
    if proxy.ipv6:
        sources.append(names.INBOUND_SOURCE_V6)
    first, *others = (address_pb2.SocketAddress(address=s, port_value=0) for s in sources)
    return address_pb2.BindConfig(
        source_address=first,
        extra_source_addresses=[address_pb2.ExtraSourceAddress(address=o) for o in others],
    )


def _describe(cluster: cluster_pb2.Cluster, service: Service, subset: str = "") -> None:
    """Say whose cluster it is, where Istio's metrics and tools look for it."""
    whose = {"host": service.host, "name": service.name, "namespace": service.namespace}
    istio: dict[str, object] = {"services": [whose]}
    if subset:
        istio["subset"] = subset
    cluster.metadata.filter_metadata["istio"].CopyFrom(struct(istio))
