# SPDX-License-Identifier: Apache-2.0
"""The two forms of the discovery messages, and what the agent itself says in them.

On Envoy's stream the agent subscribes to the name table, acknowledges it, and reports the
application's health, all as istiod's own agent does. Pure.
"""

from __future__ import annotations

from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from grpclib.const import Status

from mesh_core.wire import types


class Delta:
    """DeltaDiscoveryRequest and DeltaDiscoveryResponse."""

    path = types.ADS_DELTA

    @staticmethod
    def read_request(raw: bytes) -> Any:
        """Parse a request."""
        return discovery_pb2.DeltaDiscoveryRequest.FromString(raw)

    @staticmethod
    def read_response(raw: bytes) -> Any:
        """Parse a response."""
        return discovery_pb2.DeltaDiscoveryResponse.FromString(raw)

    @staticmethod
    def payloads(response: Any) -> list[bytes]:
        """Return the serialized resources of a response, without their envelopes."""
        return [resource.resource.value for resource in response.resources]

    @staticmethod
    def say(type_url: str, *, answers: Any = None, problem: str | None = None) -> bytes:
        """Return a request for ``type_url``; ``answers`` is the response that it judges."""
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url)
        if answers is not None:
            request.response_nonce = answers.nonce
        return _finish(request, problem)


class Sotw:
    """DiscoveryRequest and DiscoveryResponse: the state of the world."""

    path = types.ADS_STREAM

    @staticmethod
    def read_request(raw: bytes) -> Any:
        """Parse a request."""
        return discovery_pb2.DiscoveryRequest.FromString(raw)

    @staticmethod
    def read_response(raw: bytes) -> Any:
        """Parse a response."""
        return discovery_pb2.DiscoveryResponse.FromString(raw)

    @staticmethod
    def payloads(response: Any) -> list[bytes]:
        """Return the serialized resources of a response, without their envelopes."""
        return [resource.value for resource in response.resources]

    @staticmethod
    def say(type_url: str, *, answers: Any = None, problem: str | None = None) -> bytes:
        """Return a request for ``type_url``; ``answers`` is the response that it judges."""
        request = discovery_pb2.DiscoveryRequest(type_url=type_url)
        if answers is not None:
            request.response_nonce = answers.nonce
            if problem is None:
                request.version_info = answers.version_info
        return _finish(request, problem)


Dialect = type[Delta] | type[Sotw]


def _finish(request: Any, problem: str | None) -> bytes:
    if problem is not None:
        request.error_detail.code = Status.INTERNAL.value
        request.error_detail.message = problem
    return bytes(request.SerializeToString())
