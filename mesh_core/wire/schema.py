# SPDX-License-Identifier: Apache-2.0
"""Messages declared at run time, with only the fields that are looked at.

Generated classes bring all that their files name: for Envoy's that is megabytes of a resident
process, and a hundred modules to load. Fields that are not declared pass through unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2

_FIELD: Final = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "bool": _FIELD.TYPE_BOOL,
    "uint64": _FIELD.TYPE_UINT64,
    "uint32": _FIELD.TYPE_UINT32,
    "int64": _FIELD.TYPE_INT64,
    "int32": _FIELD.TYPE_INT32,
}

_WELL_KNOWN: Final = {"Any": any_pb2, "Struct": struct_pb2}

Schema = Mapping[str, Sequence[str]]
"""Message -> its fields: ``NAME NUMBER TYPE``, with ``*`` before the type for a list and ``{}`` for
a map whose keys are strings. A type is a scalar, a message of the same schema, or google.protobuf's
``Any`` or ``Struct``. Enumerations are int32, which is the same on the wire."""


def declare(package: str, schema: Schema) -> Callable[[str], Any]:
    """Declare messages; what is returned gives the class of one by its name, KeyError."""
    pool = descriptor_pool.DescriptorPool()
    for each in _WELL_KNOWN.values():
        pool.AddSerializedFile(each.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto",
        package=package,
        syntax="proto3",
        dependency=[each.DESCRIPTOR.name for each in _WELL_KNOWN.values()],
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field, package, schema)
    pool.Add(file)
    return lambda name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{package}.{name}")
    )


def _add_field(message: Any, text: str, package: str, schema: Schema) -> None:
    name, number, kind = text.split()
    field = message.field.add(name=name, number=int(number), label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("{}"):
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key 1 string", package, schema)
        _add_field(entry, f"value 2 {kind[2:]}", package, schema)
        field.type, field.label = _FIELD.TYPE_MESSAGE, _FIELD.LABEL_REPEATED
        field.type_name = f".{package}.{message.name}.{entry.name}"
        return
    if kind.startswith("*"):
        field.label, kind = _FIELD.LABEL_REPEATED, kind[1:]
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
        return
    field.type = _FIELD.TYPE_MESSAGE
    outside = kind in _WELL_KNOWN and kind not in schema
    field.type_name = f".google.protobuf.{kind}" if outside else f".{package}.{kind}"
