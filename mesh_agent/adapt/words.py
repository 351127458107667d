# SPDX-License-Identifier: Apache-2.0
"""Names that several parts use: Istio's extensions, ALPN protocols, what Envoy has for them."""

from __future__ import annotations

from typing import Any, Final

_PREFIX: Final = "type.googleapis.com/"

# Types of Istio's extensions: metadata exchange over TCP, HTTP and HBONE, ALPN, statistics.
TCP_EXCHANGE: Final = "envoy.tcp.metadataexchange.config.MetadataExchange"
HTTP_EXCHANGE: Final = "io.istio.http.peer_metadata.Config"
ALPN: Final = "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"
STATS: Final = "stats.PluginConfig"
ISTIOS: Final = frozenset(
    {
        TCP_EXCHANGE,
        HTTP_EXCHANGE,
        "envoy.extensions.network_filters.peer_metadata.Config",
        "envoy.extensions.network_filters.peer_metadata.UpstreamConfig",
        ALPN,
        STATS,
    }
)

HTTP_MANAGER: Final = (
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
TCP_PROXY: Final = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
UPSTREAM_TLS: Final = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
DOWNSTREAM_TLS: Final = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
FILE_LOG: Final = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
STDOUT_LOG: Final = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
STATS_LOG: Final = "envoy.extensions.access_loggers.stats.v3.Config"
CEL_FILTER: Final = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
FILTER_STATE: Final = "envoy.extensions.filters.http.set_filter_state.v3.Config"
HEADER_MUTATION: Final = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
LUA: Final = "envoy.extensions.filters.http.lua.v3.Lua"

# A client that agrees on this protocol speaks metadata exchange on the connection.
PEER_EXCHANGE: Final = "istio-peer-exchange"
MESH: Final = "istio"

# Where the adapter keeps what it knows of a cluster, for filters and loggers to read.
METADATA: Final = "hybrid.mesh"

# Headers in which peers say who they are: the node's id, and the metadata.
PEER_ID_HEADER: Final = "x-envoy-peer-metadata-id"
PEER_HEADER: Final = "x-envoy-peer-metadata"


def fill(config: Any, kind: str, message: Any) -> None:
    """Put a message into an Any under Envoy's name for its type; maps in the order of keys."""
    config.type_url = _PREFIX + kind
    config.value = message.SerializeToString(deterministic=True)
