# SPDX-License-Identifier: Apache-2.0
"""Istio's own messages (citadel.proto, nds.proto), declared at run time.

Three small messages need no generated code: their descriptors are built here, with the field
numbers of istio/api and istio's ``pkg/dns/proto/nds.proto``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
_STRING, _INT64, _MESSAGE = _FIELD.TYPE_STRING, _FIELD.TYPE_INT64, _FIELD.TYPE_MESSAGE
_ONE, _MANY = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)

    ca = descriptor_pb2.FileDescriptorProto(
        name="hybrid_mesh/citadel.proto",
        package="istio.v1.auth",
        syntax="proto3",
        dependency=["google/protobuf/struct.proto"],
    )
    request = ca.message_type.add(name="IstioCertificateRequest")
    request.field.add(name="csr", number=1, type=_STRING, label=_ONE)
    request.field.add(name="validity_duration", number=3, type=_INT64, label=_ONE)
    request.field.add(
        name="metadata", number=4, type=_MESSAGE, label=_ONE, type_name=".google.protobuf.Struct"
    )
    response = ca.message_type.add(name="IstioCertificateResponse")
    response.field.add(name="cert_chain", number=1, type=_STRING, label=_MANY)
    pool.Add(ca)

    nds = descriptor_pb2.FileDescriptorProto(
        name="hybrid_mesh/nds.proto", package="istio.networking.nds.v1", syntax="proto3"
    )
    table = nds.message_type.add(name="NameTable")
    info = table.nested_type.add(name="NameInfo")
    info.field.add(name="ips", number=1, type=_STRING, label=_MANY)
    info.field.add(name="registry", number=2, type=_STRING, label=_ONE)
    info.field.add(name="shortname", number=3, type=_STRING, label=_ONE)
    info.field.add(name="namespace", number=4, type=_STRING, label=_ONE)
    info.field.add(name="alt_hosts", number=5, type=_STRING, label=_MANY)
    entry = table.nested_type.add(name="TableEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_STRING, label=_ONE)
    entry.field.add(
        name="value",
        number=2,
        type=_MESSAGE,
        label=_ONE,
        type_name=".istio.networking.nds.v1.NameTable.NameInfo",
    )
    table.field.add(
        name="table",
        number=1,
        type=_MESSAGE,
        label=_MANY,
        type_name=".istio.networking.nds.v1.NameTable.TableEntry",
    )
    pool.Add(nds)
    return pool


_POOL = _pool()


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


IstioCertificateRequest = _message("istio.v1.auth.IstioCertificateRequest")
IstioCertificateResponse = _message("istio.v1.auth.IstioCertificateResponse")
NameTable = _message("istio.networking.nds.v1.NameTable")
NameInfo = _message("istio.networking.nds.v1.NameTable.NameInfo")
