# SPDX-License-Identifier: Apache-2.0
"""A few resources for Envoy."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2  # noqa: F401
from google.protobuf import json_format


def cluster(name: str, timeout: str = "1s") -> Any:
    """An EDS cluster."""
    return json_format.ParseDict(
        {
            "name": name,
            "type": "EDS",
            "connect_timeout": timeout,
            "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
        },
        cluster_pb2.Cluster(),
    )


def endpoint(name: str, port: int) -> Any:
    """One address on loopback for a cluster."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return json_format.ParseDict(
        {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        endpoint_pb2.ClusterLoadAssignment(),
    )


def bad_listener(name: str) -> Any:
    """A listener with a filter that Envoy does not have."""
    found = listener(name, 0, "nowhere")
    config = found.filter_chains[0].filters[0]
    config.name = "istio.nothing"
    config.typed_config.type_url = "type.googleapis.com/google.protobuf.Struct"
    config.typed_config.value = b""
    return found


def listener(name: str, port: int, target: str) -> Any:
    """A TCP listener on loopback in front of a cluster."""
    return json_format.ParseDict(
        {
            "name": name,
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [
                {
                    "filters": [
                        {
                            "name": "envoy.filters.network.tcp_proxy",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.network."
                                "tcp_proxy.v3.TcpProxy",
                                "stat_prefix": name,
                                "cluster": target,
                            },
                        }
                    ]
                }
            ],
        },
        listener_pb2.Listener(),
    )
