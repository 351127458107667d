# SPDX-License-Identifier: Apache-2.0
"""What an agent in this process says to a control plane, and what it is told: inside the TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.dialect import Delta, Dialect, Sotw
from mesh_agent.relay.upstream import Connector, Upstream


@dataclass(slots=True)
class Conversation:
    """One stream. ``interjections`` are given to the agent before the next response."""

    dialect: Dialect
    requests: list[Any] = field(default_factory=list)
    responses: list[Any] = field(default_factory=list)
    interjections: list[bytes] = field(default_factory=list)
    open: bool = True

    def of(self, type_url: str) -> list[Any]:
        """The requests for one type."""
        return [request for request in self.requests if request.type_url == type_url]

    def told(self, type_url: str) -> list[tuple[list[str], list[str]]]:
        """Names that were sent and removed, for each delta response of one type."""
        return [
            (sorted(resource.name for resource in each.resources), list(each.removed_resources))
            for each in self.responses
            if each.type_url == type_url
        ]

    def versions(self, type_url: str) -> dict[str, str]:
        """The version of each resource that this stream made of what it claimed to begin with."""
        found: dict[str, str] = {}
        for request in self.of(type_url)[:1]:
            found.update(request.initial_resource_versions)
        for response in self.responses:
            if response.type_url == type_url:
                found.update((each.name, each.version) for each in response.resources)
                for name in response.removed_resources:
                    found.pop(name, None)
        return found


class TappedConnector(Connector):
    """Keeps all conversations; ``tries`` counts also those that did not come about."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.conversations: list[Conversation] = []
        self.tries = 0

    @asynccontextmanager
    async def open(
        self, path: str, endpoint: Endpoint, deadline: float, kind: type[Upstream] = Upstream
    ) -> AsyncIterator[Upstream]:
        self.tries += 1
        async with super().open(path, endpoint, deadline, kind) as upstream:
            plain = path == Sotw.path and kind is Upstream
            conversation = Conversation(Sotw if plain else Delta)
            self.conversations.append(conversation)
            try:
                yield cast(Upstream, _Tapped(upstream, conversation))
            finally:
                conversation.open = False


class _Tapped:
    def __init__(self, upstream: Upstream, conversation: Conversation) -> None:
        self.endpoint = upstream.endpoint
        self._upstream, self._conversation = upstream, conversation
        self._waiting: bytes | None = None

    def send(self, message: bytes) -> None:
        self._conversation.requests.append(self._conversation.dialect.read_request(message))
        self._upstream.send(message)

    async def receive(self) -> bytes:
        message = self._waiting or await self._upstream.receive()
        self._waiting = None
        if self._conversation.interjections:
            self._waiting = message
            return self._conversation.interjections.pop(0)
        self._conversation.responses.append(self._conversation.dialect.read_response(message))
        return message
