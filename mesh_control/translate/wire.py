# SPDX-License-Identifier: Apache-2.0
"""Protobuf in small words: packing, wrappers, times. Equal messages give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from envoy.config.core.v3 import address_pb2
from google.protobuf import any_pb2, duration_pb2, struct_pb2, wrappers_pb2


def pack(message: Any) -> any_pb2.Any:
    """Return the message as Any; the entries of maps in the order of their keys."""
    return any_pb2.Any(
        type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}",
        value=message.SerializeToString(deterministic=True),
    )


def resource(message: Any) -> bytes:
    """Return the serialised Any of an xDS resource."""
    return pack(message).SerializeToString(deterministic=True)


def u32(value: int) -> wrappers_pb2.UInt32Value:
    """Return a number that is there, also when it is 0."""
    return wrappers_pb2.UInt32Value(value=value)


def boolean(value: bool) -> wrappers_pb2.BoolValue:
    """Return a boolean that is there, also when it is false."""
    return wrappers_pb2.BoolValue(value=value)


def duration(value: timedelta) -> duration_pb2.Duration:
    """Return a time span; zero is there, which is not the same to Envoy as absent."""
    result = duration_pb2.Duration()
    result.FromTimedelta(value)
    return result


def seconds(value: int) -> duration_pb2.Duration:
    """Return a time span of whole seconds."""
    return duration_pb2.Duration(seconds=value)


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return plain data as a Struct."""
    result = struct_pb2.Struct()
    result.update(values)
    return result


def socket_address(address: str, port: int) -> address_pb2.Address:
    """Return a TCP address."""
    return address_pb2.Address(
        socket_address=address_pb2.SocketAddress(address=address, port_value=port)
    )
