# SPDX-License-Identifier: Apache-2.0
"""The messages of the two ADS protocols, to `Request` and from `Response`. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from mesh_control.ads.exchange import Node, Request, Response


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of the two protocols. ``decode`` raises ValueError for what is no request."""

    incremental: bool
    decode: Callable[[bytes], Request]
    encode: Callable[[Response], bytes]


def _decode_delta(data: bytes) -> Request:
    message = _parse(discovery_pb2.DeltaDiscoveryRequest, data)
    return Request(
        type_url=message.type_url,
        names=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
        node=_node(message.node),
    )


def _decode_state_of_the_world(data: bytes) -> Request:
    message = _parse(discovery_pb2.DiscoveryRequest, data)
    return Request(
        type_url=message.type_url,
        names=tuple(message.resource_names),
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
        node=_node(message.node),
    )


def _encode_delta(response: Response) -> bytes:
    message = discovery_pb2.DeltaDiscoveryResponse(
        system_version_info=response.version,
        type_url=response.type_url,
        removed_resources=response.removed,
        nonce=response.nonce,
    )
    for resource in response.resources:
        entry = message.resources.add(name=resource.name, version=resource.version)
        entry.resource.ParseFromString(resource.body)
    return bytes(message.SerializeToString())


def _encode_state_of_the_world(response: Response) -> bytes:
    message = discovery_pb2.DiscoveryResponse(
        version_info=response.version, type_url=response.type_url, nonce=response.nonce
    )
    for resource in response.resources:
        message.resources.add().ParseFromString(resource.body)
    return bytes(message.SerializeToString())


def _node(message: Any) -> Node:
    if not message.id:
        return Node()
    return Node(message.id, json_format.MessageToDict(message.metadata))


def _parse(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise ValueError(f"expected a {kind.DESCRIPTOR.name}: {error}") from error


DELTA = Dialect(True, _decode_delta, _encode_delta)
STATE_OF_THE_WORLD = Dialect(False, _decode_state_of_the_world, _encode_state_of_the_world)
