# SPDX-License-Identifier: Apache-2.0
"""Network filters: TCP proxy and HTTP connection manager, and the listener's own filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2, protocol_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mesh_control.translate.wire import boolean, duration, pack, seconds

FAULT = "envoy.filters.http.fault"


def tcp_proxy(
    clusters: Mapping[str, int],
    access_log: Sequence[accesslog_pb2.AccessLog],
    *,
    idle_timeout: timedelta | None = None,
    maximum_duration: timedelta | None = None,
) -> listener_components_pb2.Filter:
    """Return the filter that sends a connection to one of ``clusters``, by weight."""
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix=next(iter(clusters)), access_log=access_log)
    if len(clusters) == 1:
        (proxy.cluster,) = clusters
    else:
        for name, weight in clusters.items():
            proxy.weighted_clusters.clusters.add(name=name, weight=weight)
    if idle_timeout is not None:
        proxy.idle_timeout.CopyFrom(duration(idle_timeout))
    if maximum_duration is not None:
        proxy.max_downstream_connection_duration.CopyFrom(duration(maximum_duration))
    return network_filter("envoy.filters.network.tcp_proxy", proxy)


def outbound_http(
    stat_prefix: str, route: str, access_log: Sequence[accesslog_pb2.AccessLog]
) -> listener_components_pb2.Filter:
    """Return the filter for requests of the workload, routed by the RDS resource ``route``."""
    manager = _http(stat_prefix, [http_filter(FAULT, fault_pb2.HTTPFault())], access_log)
    manager.rds.CopyFrom(
        hcm_pb2.Rds(
            route_config_name=route,
            config_source=config_source_pb2.ConfigSource(
                ads=config_source_pb2.AggregatedConfigSource(),
                initial_fetch_timeout=seconds(0),
                resource_api_version=config_source_pb2.V3,
            ),
        )
    )
    return network_filter("envoy.filters.network.http_connection_manager", manager)


def inbound_http(
    stat_prefix: str,
    routes: route_pb2.RouteConfiguration,
    filters: Sequence[hcm_pb2.HttpFilter],
    access_log: Sequence[accesslog_pb2.AccessLog],
) -> listener_components_pb2.Filter:
    """Return the filter for requests to the workload; it tells it who calls (XFCC)."""
    manager = _http(stat_prefix, filters, access_log)
    manager.route_config.CopyFrom(routes)
    manager.forward_client_cert_details = hcm_pb2.HttpConnectionManager.APPEND_FORWARD
    manager.set_current_client_cert_details.CopyFrom(
        hcm_pb2.HttpConnectionManager.SetCurrentClientCertDetails(
            subject=boolean(True), dns=True, uri=True
        )
    )
    return network_filter("envoy.filters.network.http_connection_manager", manager)


def original_destination() -> listener_components_pb2.ListenerFilter:
    """Return the listener filter that restores what the client meant to reach."""
    return _listener_filter("original_dst", original_dst_pb2.OriginalDst())


def tls_inspector() -> listener_components_pb2.ListenerFilter:
    """Return the listener filter that sees TLS, its server name and protocols."""
    return _listener_filter("tls_inspector", tls_inspector_pb2.TlsInspector())


def network_filter(name: str, config: Any) -> listener_components_pb2.Filter:
    """Return a network filter."""
    return listener_components_pb2.Filter(name=name, typed_config=pack(config))


def http_filter(name: str, config: Any) -> hcm_pb2.HttpFilter:
    """Return an HTTP filter."""
    return hcm_pb2.HttpFilter(name=name, typed_config=pack(config))


def _listener_filter(name: str, config: Any) -> listener_components_pb2.ListenerFilter:
    return listener_components_pb2.ListenerFilter(
        name=f"envoy.filters.listener.{name}", typed_config=pack(config)
    )


def _http(
    stat_prefix: str,
    filters: Sequence[hcm_pb2.HttpFilter],
    access_log: Sequence[accesslog_pb2.AccessLog],
) -> hcm_pb2.HttpConnectionManager:
    router = http_filter("envoy.filters.http.router", router_pb2.Router())
    return hcm_pb2.HttpConnectionManager(
        stat_prefix=stat_prefix,
        codec_type=hcm_pb2.HttpConnectionManager.AUTO,
        http_filters=[*filters, router],
        access_log=access_log,
        server_name="istio-envoy",
        use_remote_address=boolean(False),
        # Authorization by path would be fooled by /a/../b otherwise.
        normalize_path=boolean(True),
        stream_idle_timeout=seconds(0),
        upgrade_configs=[hcm_pb2.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        # Older servers in front of others speak 1.0 upstream unless told otherwise.
        http_protocol_options=protocol_pb2.Http1ProtocolOptions(accept_http_10=True),
    )
