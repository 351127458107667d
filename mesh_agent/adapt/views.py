# SPDX-License-Identifier: Apache-2.0
"""Envoy's messages, but only the fields that are looked at.

The generated classes of listeners and HTTP connection managers cost megabytes of a resident
process. These have the names and numbers of Envoy's API; fields that they do not name pass through
them unchanged. Enumerations are int32, which is the same on the wire.
"""

from __future__ import annotations

from typing import Final

from mesh_core.wire.schema import Schema, declare

SCHEMA: Final[Schema] = {
    "Any": ("type_url 1 string", "value 2 bytes"),
    "Named": ("name 1 string",),
    "TypedStruct": ("type_url 1 string", "value 2 Struct"),
    "Listener": (
        "name 1 string",
        "filter_chains 3 *FilterChain",
        "listener_filters 9 *ListenerFilter",
        "traffic_direction 16 int32",
        "access_log 22 *AccessLog",
        "default_filter_chain 25 FilterChain",
    ),
    "ListenerAddresses": ("address 2 Address", "additional_addresses 33 *AdditionalAddress"),
    "AdditionalAddress": ("address 1 Address",),
    "Address": ("socket_address 1 SocketAddress",),
    "SocketAddress": ("address 2 string", "port_value 3 uint32"),
    "FilterChain": ("filters 3 *NetworkFilter", "transport_socket 6 TransportSocket"),
    "NetworkFilter": ("name 1 string", "typed_config 4 Any"),
    "ListenerFilter": ("name 1 string", "typed_config 3 Any"),
    "TransportSocket": ("name 1 string", "typed_config 3 Any"),
    "HttpConnectionManager": ("http_filters 5 *HttpFilter", "access_log 13 *AccessLog"),
    "HttpFilter": ("name 1 string", "typed_config 4 Any"),
    "TcpProxy": (
        "access_log 5 *AccessLog",
        "access_log_flush_interval 15 Opaque",
        "flush_access_log_on_connected 16 bool",
        "access_log_options 17 TcpAccessLogOptions",
    ),
    "TcpAccessLogOptions": ("flush_access_log_on_connected 2 bool",),
    "Opaque": (),
    "AccessLog": ("name 1 string", "filter 2 AccessLogFilter", "typed_config 4 Any"),
    "AccessLogFilter": (
        "and_filter 6 AndFilter",
        "extension_filter 11 ExtensionFilter",
        "log_type_filter 13 LogTypeFilter",
    ),
    "AndFilter": ("filters 1 *AccessLogFilter",),
    "ExtensionFilter": ("name 1 string", "typed_config 3 Any"),
    "LogTypeFilter": ("types 1 *int32", "exclude 2 bool"),
    "ExpressionFilter": ("expression 1 string",),
    "FileAccessLog": (
        "path 1 string",
        "format 2 string",
        "json_format 3 Struct",
        "typed_json_format 4 Struct",
        "log_format 5 SubstitutionFormatString",
    ),
    "StdoutAccessLog": ("log_format 1 SubstitutionFormatString",),
    "SubstitutionFormatString": (
        "json_format 2 Struct",
        "omit_empty_values 3 bool",
        "text_format_source 5 DataSource",
    ),
    "DataSource": ("inline_string 3 string",),
    "StatsLog": ("histograms 3 *Histogram", "counters 4 *Counter", "stats_scope 6 Scope"),
    "Stat": ("name 1 string", "tags 2 *Tag"),
    "Tag": ("name 1 string", "value_format 2 string"),
    "Histogram": ("stat 1 Stat", "unit 2 int32", "value_format 3 string"),
    "Counter": ("stat 1 Stat", "value_format 2 string", "value_fixed 3 UInt64Value"),
    "UInt64Value": ("value 1 uint64",),
    "UInt32Value": ("value 1 uint32",),
    "Scope": (
        "max_counters 1 UInt32Value",
        "max_histograms 3 UInt32Value",
        "sharing_name 6 string",
    ),
    "FilterState": ("on_request_headers 1 *FilterStateValue",),
    "FilterStateValue": (
        "object_key 1 string",
        "format_string 2 SubstitutionFormatString",
        "shared_with_upstream 4 int32",
        "skip_if_empty 5 bool",
    ),
    "LuaFilter": ("default_source_code 3 DataSource", "clear_route_cache 5 BoolValue"),
    "BoolValue": ("value 1 bool",),
    "HeaderMutationFilter": ("mutations 1 HeaderMutations",),
    "HeaderMutations": (
        "request_mutations 1 *HeaderMutation",
        "response_mutations 2 *HeaderMutation",
    ),
    "HeaderMutation": ("remove 1 string", "append 2 HeaderValueOption"),
    "HeaderValueOption": ("header 1 HeaderValue", "append_action 3 int32"),
    "HeaderValue": ("key 1 string", "value 2 string"),
    "PluginConfig": ("metrics 8 *MetricConfig", "definitions 9 *Named"),
    "MetricConfig": (
        "dimensions 1 {}string",
        "name 2 string",
        "tags_to_remove 3 *string",
        "drop 5 bool",
    ),
    "UpstreamTlsContext": ("common_tls_context 1 CommonTlsContext",),
    "DownstreamTlsContext": ("common_tls_context 1 CommonTlsContext",),
    "CommonTlsContext": ("alpn_protocols 4 *string",),
    "Cluster": (
        "name 1 string",
        "http2_protocol_options 14 Opaque",
        "transport_socket 24 TransportSocket",
        "metadata 25 Metadata",
        "typed_extension_protocol_options 36 {}Any",
        "filters 40 *ClusterFilter",
        "transport_socket_matches 43 *TransportSocketMatch",
    ),
    "ClusterSource": ("upstream_bind_config 21 BindConfig",),
    "BindConfig": (
        "source_address 1 SourceAddress",
        "extra_source_addresses 5 *ExtraSourceAddress",
    ),
    "ExtraSourceAddress": ("address 1 SourceAddress",),
    # Without the port, which is 0 and must be said: a field with that value would not be written.
    "SourceAddress": ("address 2 string",),
    "ClusterFilter": ("name 1 string", "typed_config 2 Any"),
    "TransportSocketMatch": ("transport_socket 3 TransportSocket",),
    "Metadata": ("filter_metadata 1 {}Struct",),
    "HttpProtocolOptions": (
        "explicit_http_config 3 HttpVersions",
        "use_downstream_protocol_config 4 HttpVersions",
    ),
    "HttpVersions": ("http_protocol_options 1 Opaque", "http2_protocol_options 2 Opaque"),
}


view: Final = declare("hybrid_mesh.adapt", SCHEMA)
"""Gives the class of a message in `SCHEMA`."""

AccessLog: Final = view("AccessLog")
AccessLogFilter: Final = view("AccessLogFilter")
Cluster: Final = view("Cluster")
ClusterSource: Final = view("ClusterSource")
DownstreamTlsContext: Final = view("DownstreamTlsContext")
ExpressionFilter: Final = view("ExpressionFilter")
FileAccessLog: Final = view("FileAccessLog")
FilterState: Final = view("FilterState")
HeaderMutationFilter: Final = view("HeaderMutationFilter")
HttpConnectionManager: Final = view("HttpConnectionManager")
HttpProtocolOptions: Final = view("HttpProtocolOptions")
Listener: Final = view("Listener")
ListenerAddresses: Final = view("ListenerAddresses")
LuaFilter: Final = view("LuaFilter")
Named: Final = view("Named")
Packed: Final = view("Any")
PluginConfig: Final = view("PluginConfig")
StatsLog: Final = view("StatsLog")
StdoutAccessLog: Final = view("StdoutAccessLog")
TcpProxy: Final = view("TcpProxy")
TypedStruct: Final = view("TypedStruct")
UpstreamTlsContext: Final = view("UpstreamTlsContext")
