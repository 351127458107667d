# SPDX-License-Identifier: Apache-2.0
"""Streams to the control plane: its addresses in turn, with patience and back-off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from mesh_agent.identity.dial import CALL_ERRORS, dial, explain
from mesh_agent.identity.model import IdentityError
from mesh_agent.identity.patience import Patience
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_agent.relay.dialect import Delta, Sotw
from mesh_agent.relay.world import World
from mesh_core.clock import Clock
from mesh_core.errors import MeshError
from mesh_core.supervise import stop
from mesh_core.wire import rpc

# A large mesh's first answer may take a while; who has configuration already can wait for it.
PATIENT_SECONDS = 30.0
_LONGEST_WAIT = 15.0
_STEADY_SECONDS = 10.0


class UpstreamError(MeshError):
    """No stream to the control plane, or the end of one; the text says why.

    ``status`` is what the control plane answered, None if it did not.
    """

    def __init__(self, message: str, status: Status | None = None) -> None:
        super().__init__(message)
        self.status = status


class Upstream:
    """An ADS stream to one control plane."""

    def __init__(self, endpoint: Endpoint, stream: rpc.ClientStream) -> None:
        self.endpoint = endpoint
        self._stream = stream
        # Not bounded: requests are small, and a full queue could block the reading of responses
        # that the other side waits to send before it reads on.
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, message: bytes) -> None:
        """Send a request, in order, without waiting."""
        self._outbox.put_nowait(message)

    async def receive(self) -> bytes:
        """Return the next response; raises one of ``CALL_ERRORS`` when there is none."""
        message = await self._stream.recv_message()
        if message is None:
            raise StreamTerminatedError("the control plane ended the stream")
        return bytes(message)

    async def write(self) -> None:
        """Carry what `send` was given, until the stream ends; its reader hears why."""
        with suppress(*CALL_ERRORS):
            while True:
                await self._stream.send_message(await self._outbox.get())


class WorldUpstream(Upstream):
    """A delta stream to a control plane that has only the state of the world."""

    def __init__(self, endpoint: Endpoint, stream: rpc.ClientStream) -> None:
        super().__init__(endpoint, stream)
        self._world = World()

    def send(self, message: bytes) -> None:
        """Send a delta request in its words."""
        request = self._world.request(Delta.read_request(message))
        if request is not None:
            super().send(request.SerializeToString())

    async def receive(self) -> bytes:
        """Return its next response as a delta response; one that cannot be read ends the stream."""
        message = await super().receive()
        try:
            response = self._world.response(Sotw.read_response(message))
        except DecodeError as error:
            raise ProtocolError("sent an unreadable response") from error
        return bytes(response.SerializeToString())


class Connector:
    """Opens streams to the control plane with the identity of the moment."""

    def __init__(
        self,
        settings: ControlPlaneSettings,
        endpoints: Sequence[Endpoint],
        identity: IdentityService,
        *,
        cluster_id: str,
    ) -> None:
        self.endpoints = endpoints
        self._settings = settings
        self._identity = identity
        self._metadata = {"clusterid": cluster_id}

    @asynccontextmanager
    async def open(
        self,
        path: str,
        endpoint: Endpoint,
        deadline: float,
        kind: type[Upstream] = Upstream,
    ) -> AsyncIterator[Upstream]:
        """Yield a stream on the gRPC ``path``, connected before ``deadline`` (the loop's time).

        UpstreamError for all that goes wrong on it, also inside the ``async with``, whose end is
        the stream's.
        """
        identity = self._identity.valid
        if identity is None:
            raise UpstreamError("there is no valid certificate to show to the control plane")
        try:
            async with (
                dial(self._settings, endpoint, identity) as channel,
                rpc.open_stream(channel, path, self._metadata) as stream,
            ):
                async with asyncio.timeout_at(deadline):
                    await stream.send_request()
                upstream = kind(endpoint, stream)
                writing = asyncio.create_task(upstream.write())
                try:
                    yield upstream
                finally:
                    writing.cancel()
                await stream.cancel()  # this side leaves it: a stream has no end of its own
        except IdentityError as error:
            raise UpstreamError(str(error)) from error
        except CALL_ERRORS as error:
            status = error.status if isinstance(error, GRPCError) else None
            raise UpstreamError(explain(error, self._settings, endpoint), status) from error

    def on_identity_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when there is another certificate; what is returned ends that."""
        return self._identity.subscribe(callback)


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream to the control plane is there; it has not answered yet."""

    upstream: Upstream


@dataclass(frozen=True, slots=True)
class Received:
    """The control plane sent a response."""

    upstream: Upstream
    message: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no stream to the control plane now."""

    reason: str


News = Opened | Received | Lost


async def follow(
    connector: Connector,
    tell: Callable[[News], Awaitable[None]],
    *,
    first_seconds: float,
    clock: Clock,
) -> None:
    """Keep a delta stream to the control plane, for ever, and ``tell`` what becomes of it.

    The first round over all addresses has ``first_seconds`` for an answer; later ones are patient.
    Between rounds it backs off, with jitter, longer from the start when a control plane has too
    many clients; a new certificate ends the wait. One without delta is asked for the state of the
    world.
    """
    identity_changed = asyncio.Event()
    unsubscribe = connector.on_identity_change(identity_changed.set)
    seconds = first_seconds / len(connector.endpoints)
    patience = Patience(_LONGEST_WAIT)
    try:
        while True:
            identity_changed.clear()
            exhausted = False
            for endpoint in connector.endpoints:
                end = await _follow_one(connector, endpoint, tell, seconds, clock)
                exhausted = exhausted or end.status is Status.RESOURCE_EXHAUSTED
                if end.answering > _STEADY_SECONDS:
                    patience.reset()
            seconds = PATIENT_SECONDS
            wait = clock.sleep(patience.next(exhausted=exhausted))
            await first_of(wait, identity_changed.wait())
    finally:
        unsubscribe()


@dataclass(frozen=True, slots=True)
class _End:
    """Of a stream: what the control plane answered to it, and for how long (s) it had answered.

    Time that a call takes to fail does not count: such a control plane is asked more seldom.
    """

    status: Status | None
    answering: float


async def _follow_one(
    connector: Connector,
    endpoint: Endpoint,
    tell: Callable[[News], Awaitable[None]],
    seconds: float,
    clock: Clock,
) -> _End:
    """Follow one control plane until its stream ends."""
    error: UpstreamError | None = None
    answered: float | None = None
    for path, kind in ((Delta.path, Upstream), (Sotw.path, WorldUpstream)):
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with connector.open(path, endpoint, deadline, kind) as upstream:
                await tell(Opened(upstream))
                async with asyncio.timeout_at(deadline):
                    message = await upstream.receive()
                answered = clock.monotonic()
                while True:
                    await tell(Received(upstream, message))
                    message = await upstream.receive()
        except UpstreamError as raised:
            error = raised
        if error is None or error.status is not Status.UNIMPLEMENTED:
            break
    await tell(Lost(str(error)))
    lasted = 0.0 if answered is None else clock.monotonic() - answered
    return _End(error.status if error else None, lasted)


async def first_of(*awaitables: Coroutine[Any, Any, object]) -> None:
    """Run all until one of them ends, and cancel the others; what it raised is raised."""
    tasks = [asyncio.create_task(each) for each in awaitables]
    try:
        done, _unused = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await stop(tasks)
