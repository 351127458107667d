# SPDX-License-Identifier: Apache-2.0
"""Envoy's messages, but only the fields that are looked at.

The generated classes of listeners and HTTP connection managers cost megabytes of a resident
process. These are built at run time with the numbers of Envoy's API; fields that they do not name
pass through them unchanged. Names are those of the API's messages and fields.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "hybrid_mesh.adapt"
_SCALARS: Final = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "uint64": _FIELD.TYPE_UINT64,
    "uint32": _FIELD.TYPE_UINT32,
    "int32": _FIELD.TYPE_INT32,
}

# Message -> its fields: "NAME NUMBER TYPE", "*" before the type for a list, "{}" for a map whose
# keys are strings. Enumerations are int32, which is the same on the wire.
SCHEMA: Final[dict[str, tuple[str, ...]]] = {
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
    "PluginConfig": ("metrics 8 *MetricConfig",),
    "MetricConfig": ("name 2 string", "tags_to_remove 3 *string", "drop 5 bool"),
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
    "ClusterFilter": ("name 1 string", "typed_config 2 Any"),
    "TransportSocketMatch": ("transport_socket 3 TransportSocket",),
    "Metadata": ("filter_metadata 1 {}Struct",),
    "HttpProtocolOptions": (
        "explicit_http_config 3 HttpVersions",
        "use_downstream_protocol_config 4 HttpVersions",
    ),
    "HttpVersions": ("http_protocol_options 1 Opaque", "http2_protocol_options 2 Opaque"),
}


def _type_of(field: Any, name: str) -> None:
    if name in _SCALARS:
        field.type = _SCALARS[name]
        return
    field.type = _FIELD.TYPE_MESSAGE
    field.type_name = ".google.protobuf.Struct" if name == "Struct" else f".{_PACKAGE}.{name}"


def _add_field(message: Any, text: str) -> None:
    name, number, kind = text.split()
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=field.label)
        _type_of(entry.field.add(name="value", number=2, label=field.label), kind[2:])
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"
        field.label = _FIELD.LABEL_REPEATED
        return
    if kind.startswith("*"):
        field.label = _FIELD.LABEL_REPEATED
    _type_of(field, kind.lstrip("*"))


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="hybrid_mesh/adapt.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/struct.proto"],
    )
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field)
    pool.Add(file)
    return pool


_POOL: Final = _pool()


def view(name: str) -> Any:
    """Return the class of a message in `SCHEMA`."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


AccessLog: Final = view("AccessLog")
AccessLogFilter: Final = view("AccessLogFilter")
Cluster: Final = view("Cluster")
DownstreamTlsContext: Final = view("DownstreamTlsContext")
ExpressionFilter: Final = view("ExpressionFilter")
FileAccessLog: Final = view("FileAccessLog")
FilterState: Final = view("FilterState")
HttpConnectionManager: Final = view("HttpConnectionManager")
HttpProtocolOptions: Final = view("HttpProtocolOptions")
Listener: Final = view("Listener")
Named: Final = view("Named")
PluginConfig: Final = view("PluginConfig")
StatsLog: Final = view("StatsLog")
StdoutAccessLog: Final = view("StdoutAccessLog")
TcpProxy: Final = view("TcpProxy")
TypedStruct: Final = view("TypedStruct")
UpstreamTlsContext: Final = view("UpstreamTlsContext")
