# SPDX-License-Identifier: Apache-2.0
"""The two forms of the discovery messages, and what the agent itself says in them.

On Envoy's stream the agent subscribes to the name table, acknowledges it, and reports the
application's health, all as istiod's own agent does. Pure.
"""

from __future__ import annotations

from typing import Any, ClassVar

from grpclib.const import Status

from mesh_core.wire import discovery, types


class _Form:
    """One form: its gRPC method and the classes of its messages."""

    path: ClassVar[str]
    request: ClassVar[Any]
    response: ClassVar[Any]

    @classmethod
    def read_request(cls, raw: bytes) -> Any:
        """Parse a request."""
        return cls.request.FromString(raw)

    @classmethod
    def read_response(cls, raw: bytes) -> Any:
        """Parse a response."""
        return cls.response.FromString(raw)

    @classmethod
    def say(cls, type_url: str, *, answers: Any = None, problem: str | None = None) -> bytes:
        """Return a request for ``type_url``; ``answers`` is the response that it judges."""
        request = cls.request(type_url=type_url)
        if answers is not None:
            request.response_nonce = answers.nonce
        if problem is not None:
            request.error_detail.code = Status.INTERNAL.value
            request.error_detail.message = problem
        elif answers is not None:
            cls.accept(request, answers)
        return bytes(request.SerializeToString())

    @staticmethod
    def accept(request: Any, answers: Any) -> None:
        """Add what accepts a response, beside its nonce."""


class Delta(_Form):
    """Changes."""

    path = types.ADS_DELTA
    request = discovery.DeltaDiscoveryRequest
    response = discovery.DeltaDiscoveryResponse

    @staticmethod
    def packed(response: Any) -> list[Any]:
        """Return the resources of a response (google.protobuf.Any), without their envelopes."""
        return [each.resource for each in response.resources]


class Sotw(_Form):
    """The state of the world."""

    path = types.ADS_STREAM
    request = discovery.DiscoveryRequest
    response = discovery.DiscoveryResponse

    @staticmethod
    def packed(response: Any) -> list[Any]:
        """Return the resources of a response (google.protobuf.Any)."""
        return list(response.resources)

    @staticmethod
    def accept(request: Any, answers: Any) -> None:
        """Name the version that is in force now."""
        request.version_info = answers.version_info


Dialect = type[Delta] | type[Sotw]
