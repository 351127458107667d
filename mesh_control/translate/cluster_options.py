# SPDX-License-Identifier: Apache-2.0
"""What a traffic policy does to a cluster: balancing, limits, protocol, ejection."""

from __future__ import annotations

from typing import Any, Final

from envoy.config.cluster.v3 import cluster_pb2, outlier_detection_pb2
from envoy.config.core.v3 import address_pb2, protocol_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.type.v3 import percent_pb2

from mesh_control.model import Protocol
from mesh_control.translate.api.destination_rule import (
    ConnectionPool,
    LoadBalancer,
    OutlierDetection,
    Simple,
    TcpKeepalive,
)
from mesh_control.translate.policy import Policy
from mesh_control.translate.wire import duration, pack, seconds, u32

_CONNECT_SECONDS: Final = 10
_UNLIMITED: Final = 2**32 - 1
_HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def apply(policy: Policy, protocol: Protocol, cluster: cluster_pb2.Cluster) -> None:
    """Set balancing, limits and ejection on ``cluster``; TLS is not this function's."""
    _balance(policy.load_balancer or LoadBalancer(), cluster)
    limit(policy.connection_pool or ConnectionPool(), cluster)
    options = _http_options(policy.connection_pool or ConnectionPool(), protocol)
    if options is not None:
        cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(pack(options))
    if policy.outlier_detection is not None:
        _eject(policy.outlier_detection, cluster)


def limit(pool: ConnectionPool, cluster: cluster_pb2.Cluster) -> None:
    """Set the limits of connections and requests; Envoy's own of 1024 are lifted, as in Istio."""
    cluster.circuit_breakers.thresholds.add(
        max_connections=u32(pool.tcp.max_connections or _UNLIMITED),
        max_pending_requests=u32(pool.http.http1_max_pending_requests or _UNLIMITED),
        max_requests=u32(pool.http.http2_max_requests or _UNLIMITED),
        max_retries=u32(pool.http.max_retries or _UNLIMITED),
    )
    timeout = pool.tcp.connect_timeout
    cluster.connect_timeout.CopyFrom(duration(timeout) if timeout else seconds(_CONNECT_SECONDS))
    if pool.tcp.tcp_keepalive is not None:
        cluster.upstream_connection_options.tcp_keepalive.CopyFrom(
            _keepalive(pool.tcp.tcp_keepalive)
        )


def pass_protocol_on(cluster: cluster_pb2.Cluster) -> None:
    """Let HTTP leave as it came; for clusters that are not of one service."""
    options = http_protocol_options_pb2.HttpProtocolOptions
    cluster.typed_extension_protocol_options[_HTTP_OPTIONS].CopyFrom(
        pack(
            options(
                common_http_protocol_options=protocol_pb2.HttpProtocolOptions(
                    idle_timeout=seconds(300)
                ),
                use_downstream_protocol_config=options.UseDownstreamHttpConfig(
                    http_protocol_options=protocol_pb2.Http1ProtocolOptions(),
                    http2_protocol_options=protocol_pb2.Http2ProtocolOptions(),
                ),
            )
        )
    )


def _balance(balancer: LoadBalancer, cluster: cluster_pb2.Cluster) -> None:
    if cluster.type == cluster_pb2.Cluster.ORIGINAL_DST:
        cluster.lb_policy = cluster_pb2.Cluster.CLUSTER_PROVIDED
    elif balancer.simple is Simple.RANDOM:
        cluster.lb_policy = cluster_pb2.Cluster.RANDOM
    elif balancer.simple is Simple.ROUND_ROBIN:
        cluster.lb_policy = cluster_pb2.Cluster.ROUND_ROBIN
    else:
        cluster.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST


def _http_options(pool: ConnectionPool, protocol: Protocol) -> Any | None:
    if not protocol.is_http:
        return None
    common = protocol_pb2.HttpProtocolOptions()
    if idle := pool.http.idle_timeout or pool.tcp.idle_timeout:
        common.idle_timeout.CopyFrom(duration(idle))
    if pool.tcp.max_connection_duration:
        common.max_connection_duration.CopyFrom(duration(pool.tcp.max_connection_duration))
    if pool.http.max_requests_per_connection:
        common.max_requests_per_connection.CopyFrom(u32(pool.http.max_requests_per_connection))
    limited = common.ByteSize() > 0
    if not protocol.is_http2 and not limited:
        return None
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if limited:
        options.common_http_protocol_options.CopyFrom(common)
    explicit = options.explicit_http_config
    if protocol.is_http2:
        explicit.http2_protocol_options.SetInParent()
    else:
        explicit.http_protocol_options.SetInParent()
    return options


def _eject(outlier: OutlierDetection, cluster: cluster_pb2.Cluster) -> None:
    result = outlier_detection_pb2.OutlierDetection(enforcing_success_rate=u32(0))
    if (errors := outlier.consecutive_5xx_errors) is not None:
        result.consecutive_5xx.CopyFrom(u32(errors))
        result.enforcing_consecutive_5xx.CopyFrom(u32(100 if errors else 0))
    if (errors := outlier.consecutive_gateway_errors) is not None:
        result.consecutive_gateway_failure.CopyFrom(u32(errors))
        result.enforcing_consecutive_gateway_failure.CopyFrom(u32(100 if errors else 0))
    if outlier.interval:
        result.interval.CopyFrom(duration(outlier.interval))
    if outlier.base_ejection_time:
        result.base_ejection_time.CopyFrom(duration(outlier.base_ejection_time))
    if outlier.max_ejection_percent:
        result.max_ejection_percent.CopyFrom(u32(outlier.max_ejection_percent))
    if outlier.split_external_local_origin_errors:
        result.split_external_local_origin_errors = True
        result.enforcing_local_origin_success_rate.CopyFrom(u32(0))
        if failures := outlier.consecutive_local_origin_failures:
            result.consecutive_local_origin_failure.CopyFrom(u32(failures))
            result.enforcing_consecutive_local_origin_failure.CopyFrom(u32(100))
    cluster.outlier_detection.CopyFrom(result)
    # Envoy would send to ejected endpoints when more than half are; with a few hosts, never.
    cluster.common_lb_config.healthy_panic_threshold.CopyFrom(
        percent_pb2.Percent(value=float(outlier.min_health_percent))
    )


def _keepalive(keepalive: TcpKeepalive) -> address_pb2.TcpKeepalive:
    result = address_pb2.TcpKeepalive()
    if keepalive.probes:
        result.keepalive_probes.CopyFrom(u32(keepalive.probes))
    if keepalive.time:
        result.keepalive_time.CopyFrom(u32(int(keepalive.time.total_seconds())))
    if keepalive.interval:
        result.keepalive_interval.CopyFrom(u32(int(keepalive.interval.total_seconds())))
    return result
