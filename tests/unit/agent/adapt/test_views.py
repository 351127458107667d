# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.cluster.v3 import cluster_pb2, filter_pb2
from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2
from envoy.config.core.v3 import address_pb2, base_pb2, substitution_format_string_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.stats.v3 import stats_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as manager_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as options_pb2
from udpa.type.v1 import typed_struct_pb2

from mesh_agent.adapt.views import SCHEMA, view

FULL: dict[str, Any] = {
    "TypedStruct": typed_struct_pb2.TypedStruct,
    "Listener": listener_pb2.Listener,
    "FilterChain": listener_components_pb2.FilterChain,
    "NetworkFilter": listener_components_pb2.Filter,
    "ListenerFilter": listener_components_pb2.ListenerFilter,
    "TransportSocket": base_pb2.TransportSocket,
    "HttpConnectionManager": manager_pb2.HttpConnectionManager,
    "HttpFilter": manager_pb2.HttpFilter,
    "TcpProxy": tcp_proxy_pb2.TcpProxy,
    "TcpAccessLogOptions": tcp_proxy_pb2.TcpProxy.TcpAccessLogOptions,
    "AccessLog": accesslog_pb2.AccessLog,
    "AccessLogFilter": accesslog_pb2.AccessLogFilter,
    "AndFilter": accesslog_pb2.AndFilter,
    "ExtensionFilter": accesslog_pb2.ExtensionFilter,
    "LogTypeFilter": accesslog_pb2.LogTypeFilter,
    "ExpressionFilter": cel_pb2.ExpressionFilter,
    "FileAccessLog": file_pb2.FileAccessLog,
    "StdoutAccessLog": stream_pb2.StdoutAccessLog,
    "SubstitutionFormatString": substitution_format_string_pb2.SubstitutionFormatString,
    "DataSource": base_pb2.DataSource,
    "Stat": stats_pb2.Config.Stat,
    "Tag": stats_pb2.Config.Tag,
    "Histogram": stats_pb2.Config.Histogram,
    "Counter": stats_pb2.Config.Counter,
    "HeaderMutationFilter": header_mutation_pb2.HeaderMutation,
    "HeaderMutations": header_mutation_pb2.Mutations,
    "HeaderMutation": mutation_rules_pb2.HeaderMutation,
    "HeaderValueOption": base_pb2.HeaderValueOption,
    "HeaderValue": base_pb2.HeaderValue,
    "LuaFilter": lua_pb2.Lua,
    "ListenerAddresses": listener_pb2.Listener,
    "AdditionalAddress": listener_pb2.AdditionalAddress,
    "Address": address_pb2.Address,
    "SocketAddress": address_pb2.SocketAddress,
    "SourceAddress": address_pb2.SocketAddress,
    "ClusterSource": cluster_pb2.Cluster,
    "BindConfig": address_pb2.BindConfig,
    "ExtraSourceAddress": address_pb2.ExtraSourceAddress,
    "FilterState": set_filter_state_pb2.Config,
    "FilterStateValue": value_pb2.FilterStateValue,
    "UpstreamTlsContext": tls_pb2.UpstreamTlsContext,
    "DownstreamTlsContext": tls_pb2.DownstreamTlsContext,
    "CommonTlsContext": tls_pb2.CommonTlsContext,
    "Cluster": cluster_pb2.Cluster,
    "ClusterFilter": filter_pb2.Filter,
    "TransportSocketMatch": cluster_pb2.Cluster.TransportSocketMatch,
    "Metadata": base_pb2.Metadata,
    "HttpProtocolOptions": options_pb2.HttpProtocolOptions,
    "HttpVersions": options_pb2.HttpProtocolOptions.UseDownstreamHttpConfig,
}
# Not in the generated classes of this version, or Istio's, or of protobuf itself.
ELSEWHERE = {
    *("Any", "Named", "Opaque", "StatsLog", "Scope", "BoolValue", "UInt64Value", "UInt32Value"),
    *("PluginConfig", "MetricConfig"),
}


def test_every_view_is_compared() -> None:
    assert SCHEMA.keys() == FULL.keys() | ELSEWHERE


@pytest.mark.parametrize("name", FULL)
def test_a_view_has_fields_of_the_whole_message(name: str) -> None:
    whole = FULL[name].DESCRIPTOR
    for field in view(name).DESCRIPTOR.fields:
        other = whole.fields_by_name[field.name]
        assert field.number == other.number
        assert field.is_repeated == other.is_repeated
        enumeration = other.type == other.TYPE_ENUM
        assert field.type == (field.TYPE_INT32 if enumeration else other.type)


def test_fields_that_are_not_named_pass() -> None:
    chain = listener_components_pb2.FilterChain(name="chain")
    whole = listener_pb2.Listener(
        name="l", stat_prefix="p", filter_chains=[chain], freebind={"value": True}
    )
    seen = view("Listener").FromString(whole.SerializeToString())
    assert listener_pb2.Listener.FromString(seen.SerializeToString()) == whole
