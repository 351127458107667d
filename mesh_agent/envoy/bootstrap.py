# SPDX-License-Identifier: Apache-2.0
"""The configuration that Envoy starts with, as Istio's agent writes it.

Everything else comes over ADS through the relay's socket; certificates come over SDS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mesh_agent.envoy.node import PROMETHEUS_PORT, STATUS_PORT, node
from mesh_agent.envoy.stats import stats_config
from mesh_agent.settings import AgentSettings, Paths

_TYPES = "type.googleapis.com/envoy"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_ADMIN_MODE = 0o660
_UNLIMITED = 2**31 - 1


def bootstrap(settings: AgentSettings, paths: Paths, *, has_ipv6: bool) -> dict[str, Any]:
    """Return Envoy's bootstrap (envoy.config.bootstrap.v3.Bootstrap as JSON data).

    ``has_ipv6``: whether the host's kernel has IPv6.
    """
    wildcards = _wildcards(settings.workload.addresses)
    status = settings.status.local
    return {
        "application_log_config": {
            "log_format": {"text_format": "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t"}
        },
        "node": node(settings, has_ipv6=has_ipv6),
        "admin": {
            "address": {"pipe": {"path": str(paths.admin_socket), "mode": _ADMIN_MODE}},
        },
        "layered_runtime": _runtime(),
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.bootstrap.internal_listener.v3.InternalListener",
                    "buffer_size_kb": 64,
                },
            }
        ],
        "stats_config": stats_config(),
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": _overload_manager(),
        "dynamic_resources": _dynamic_resources(),
        "static_resources": {
            "clusters": [
                _cluster("xds-grpc", _pipe(paths.xds_socket), _HTTP2, _RELAY),
                _cluster("sds-grpc", _pipe(paths.sds_socket), _HTTP2),
                _cluster("prometheus_stats", _pipe(paths.admin_socket)),
                _cluster("agent", _tcp(status.host, status.port)),
            ],
            "listeners": [
                _listener(
                    "stats", wildcards, PROMETHEUS_PORT, "/stats/prometheus", "prometheus_stats"
                ),
                _listener("health", wildcards, STATUS_PORT, "/healthz/ready", "agent"),
            ],
        },
    }


def _dynamic_resources() -> dict[str, Any]:
    from_relay = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "lds_config": from_relay,
        "cds_config": from_relay,
        "ads_config": {
            "api_type": "DELTA_GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
        },
    }


def _runtime() -> dict[str, Any]:
    deprecated = "envoy.deprecated_features:envoy.config.listener.v3.Listener"
    return {
        "layers": [
            {
                "name": "static",
                "static_layer": {
                    f"{deprecated}.hidden_envoy_deprecated_use_original_dst": True,
                    "envoy.reloadable_features.http_reject_path_with_fragment": False,
                    "re2.max_program_size.error_level": 32768,
                },
            },
            {"name": "admin", "admin_layer": {}},
        ]
    }


def _overload_manager() -> dict[str, Any]:
    """No limit of ours on connections; saying so keeps Envoy from warning that there is none."""
    name = "downstream_connections"
    return {
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.resource_monitors.{name}.v3."
                    "DownstreamConnectionsConfig",
                    "max_active_downstream_connections": _UNLIMITED,
                },
            }
        ]
    }


_HTTP2 = {
    "typed_extension_protocol_options": {
        _HTTP_OPTIONS: {
            "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
    }
}
_RELAY = {
    "circuit_breakers": {
        "thresholds": [
            {
                "priority": priority,
                "max_connections": 100000,
                "max_pending_requests": 100000,
                "max_requests": 100000,
            }
            for priority in ("DEFAULT", "HIGH")
        ]
    },
}


def _cluster(name: str, address: dict[str, Any], *options: dict[str, Any]) -> dict[str, Any]:
    cluster: dict[str, Any] = {
        "name": name,
        "alt_stat_name": f"{name};",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    for option in options:
        cluster |= option
    return cluster


def _listener(
    name: str, wildcards: Iterable[str], port: int, path: str, cluster: str
) -> dict[str, Any]:
    """Return a listener that passes one path to a cluster of this host."""
    first, *others = (_tcp(wildcard, port) for wildcard in wildcards)
    route = {"match": {"path": path}, "route": {"cluster": cluster}}
    manager = "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    return {
        "name": f"{first['socket_address']['address']}_{port}",
        "address": first,
        "additional_addresses": [{"address": other} for other in others],
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": {
                            "@type": f"{_TYPES}.{manager}",
                            "stat_prefix": name,
                            "route_config": {
                                "virtual_hosts": [
                                    {"name": name, "domains": ["*"], "routes": [route]}
                                ]
                            },
                            "http_filters": [
                                {
                                    "name": "envoy.filters.http.router",
                                    "typed_config": {
                                        "@type": f"{_TYPES}.extensions.filters.http.router.v3."
                                        "Router"
                                    },
                                }
                            ],
                        },
                    }
                ]
            }
        ],
    }


def _wildcards(addresses: Iterable[str]) -> list[str]:
    """Return the wildcard addresses of the families that the host has."""
    versions = {ipaddress.ip_address(address).version for address in addresses}
    return [{4: "0.0.0.0", 6: "::"}[version] for version in sorted(versions)]  # noqa: S104


def _pipe(path: Path) -> dict[str, Any]:
    return {"pipe": {"path": str(path)}}


def _tcp(address: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": address, "port_value": port}}
