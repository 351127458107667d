# SPDX-License-Identifier: Apache-2.0
"""One SDS stream as a state machine: requests and secrets in, responses out. No I/O.

State of the world and delta differ in their messages only: `SotwStream` and `DeltaStream` turn
requests into the same few steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from mesh_core.wire import discovery, types


@dataclass(slots=True)
class _Stream(ABC):
    """What Envoy asked for and has. ``secret`` gives a serialized secret by name, or None yet."""

    secret: Callable[[str], bytes | None]
    on_refusal: Callable[[str, str], None]
    _names: list[str] = field(default_factory=list)
    _sent: dict[str, bytes] = field(default_factory=dict)
    _count: int = 0

    def changed(self) -> bytes | None:
        """Return what Envoy has not got yet of the secrets that it asked for."""
        news = _news(self._names, self.secret, self._sent)
        if not news:
            return None
        self._sent |= news
        self._count += 1
        return self._response(news)

    @abstractmethod
    def _response(self, news: Mapping[str, bytes]) -> bytes: ...


class SotwStream(_Stream):
    """StreamSecrets."""

    __slots__ = ()

    def request(self, raw: bytes) -> bytes | None:
        """Take Envoy's request; return the response that it asks for, if there is one."""
        request = discovery.DiscoveryRequest.FromString(raw)
        if request.HasField("error_detail"):
            self.on_refusal(", ".join(self._names), request.error_detail.message)
        if request.response_nonce and request.response_nonce != str(self._count):
            return None  # of a response that was overtaken
        self._names = list(request.resource_names)
        self._sent = {name: body for name, body in self._sent.items() if name in self._names}
        return self.changed()

    def _response(self, news: Mapping[str, bytes]) -> bytes:
        response = discovery.DiscoveryResponse(
            type_url=types.SECRET, version_info=str(self._count), nonce=str(self._count)
        )
        # Others that it knows must be in too: a response is all there is.
        for body in self._sent.values():
            response.resources.add(type_url=types.SECRET, value=body)
        return bytes(response.SerializeToString())


class DeltaStream(_Stream):
    """DeltaSecrets."""

    __slots__ = ()

    def request(self, raw: bytes) -> bytes | None:
        """Take Envoy's request; return the response that it asks for, if there is one."""
        request = discovery.DeltaDiscoveryRequest.FromString(raw)
        if request.HasField("error_detail"):
            self.on_refusal(", ".join(self._sent), request.error_detail.message)
        for name in request.resource_names_unsubscribe:
            self._sent.pop(name, None)
            if name in self._names:
                self._names.remove(name)
        for name in request.resource_names_subscribe:
            self._sent.pop(name, None)  # asked for again: sent again
            if name not in self._names:
                self._names.append(name)
        return self.changed()

    def _response(self, news: Mapping[str, bytes]) -> bytes:
        response = discovery.DeltaDiscoveryResponse(type_url=types.SECRET, nonce=str(self._count))
        for name, body in news.items():
            resource = response.resources.add(name=name, version=str(self._count))
            resource.resource.type_url = types.SECRET
            resource.resource.value = body
        return bytes(response.SerializeToString())


def _news(
    names: Iterable[str], secret: Callable[[str], bytes | None], sent: dict[str, bytes]
) -> dict[str, bytes]:
    found = {name: secret(name) for name in names}
    return {name: body for name, body in found.items() if body and sent.get(name) != body}
