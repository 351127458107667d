# SPDX-License-Identifier: Apache-2.0
"""Delta ADS as a test tells it: what is put is sent in order, or refused, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2
from grpclib.exceptions import GRPCError

from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream

_ORDER = (types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE, types.NAME_TABLE)


@dataclass(slots=True)
class Client:
    """One stream: what was asked on it and what was sent."""

    stream: BytesStream
    requests: list[Any] = field(default_factory=list)
    has: dict[str, dict[str, str]] = field(default_factory=dict)  # type -> name -> version
    names: dict[str, set[str]] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)  # endpoints of clusters that were sent
    sent: list[tuple[str, list[str], list[str]]] = field(default_factory=list)
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    def of(self, type_url: str) -> list[Any]:
        """The requests for one type."""
        return [request for request in self.requests if request.type_url == type_url]

    def sent_of(self, type_url: str) -> list[tuple[list[str], list[str]]]:
        """Names that were sent and removed, for each response of one type."""
        return [(names, removed) for kind, names, removed in self.sent if kind == type_url]


class Streams:
    """All streams of a control plane. ``refuse`` ends them, ``silent`` leaves them unanswered."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, tuple[str, bytes]]] = {}  # version, packed message
        self.clients: list[Client] = []
        self.opened = 0
        self.refuse: GRPCError | None = None
        self.silent = False

    @property
    def client(self) -> Client:
        """The latest stream."""
        return self.clients[-1]

    def put(self, type_url: str, name: str, version: str, message: Any) -> None:
        """Have a resource; `push` sends it to who is connected."""
        body = discovery_pb2.Resource()
        body.resource.Pack(message)
        packed = body.resource.SerializeToString()
        self.resources.setdefault(type_url, {})[name] = (version, packed)

    async def push(self) -> None:
        """Send what changed to all streams."""
        for client in list(self.clients):
            if client.stream._stream.closable:  # and not about to be noticed as gone
                await self._send_all(client, client.has)

    async def serve(self, stream: BytesStream) -> None:
        """Handle one stream."""
        self.opened += 1
        if self.refuse:
            raise self.refuse
        client = Client(stream)
        self.clients.append(client)
        try:
            async for message in stream:
                request = discovery_pb2.DeltaDiscoveryRequest.FromString(message)
                client.requests.append(request)
                if request.type_url != types.HEALTH_INFORMATION and not self.silent:
                    await self._asked(client, request)
        finally:
            if client in self.clients:
                self.clients.remove(client)

    async def _asked(self, client: Client, request: Any) -> None:
        """Answer one request, if it asks for anything."""
        kind = request.type_url
        first = kind not in client.has
        client.has.setdefault(kind, {}).update(request.initial_resource_versions)
        names = client.names.setdefault(kind, set())
        names |= set(request.resource_names_subscribe)
        names -= set(request.resource_names_unsubscribe)
        if first and not names:
            async with client.sending:
                await self._send(client, kind, always=True)
        if first or request.resource_names_subscribe:
            await self._send_all(client, (kind, types.ENDPOINT))

    async def _send_all(self, client: Client, kinds: Iterable[str]) -> None:
        async with client.sending:  # pushes and answers to requests must not mix
            for kind in sorted(set(kinds) & client.has.keys(), key=_ORDER.index):
                await self._send(client, kind, always=False)

    async def _send(self, client: Client, kind: str, *, always: bool) -> None:
        has, names = client.has[kind], client.names[kind]
        wanted = {
            name: value
            for name, value in self.resources.get(kind, {}).items()
            if not names or name in names
        }
        owed = client.owed if kind == types.ENDPOINT else set()
        changed = {
            name: wanted[name]
            for name in wanted
            if has.get(name) != wanted[name][0] or name in owed
        }
        removed = [name for name in has if name not in wanted]
        if not (changed or removed or always):
            return
        response = discovery_pb2.DeltaDiscoveryResponse(
            type_url=kind, nonce=str(len(client.sent)), removed_resources=removed
        )
        for name, (version, packed) in changed.items():
            response.resources.add(name=name, version=version).resource.ParseFromString(packed)
            has[name] = version
        if kind == types.CLUSTER:  # Envoy waits for their endpoints, also for those it had
            client.owed.update(changed)
        client.owed -= changed.keys() if kind == types.ENDPOINT else set()
        for name in removed:
            del has[name]
        client.sent.append((kind, sorted(changed), removed))
        await client.stream.send_message(response.SerializeToString())
