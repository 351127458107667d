# SPDX-License-Identifier: Apache-2.0
"""One admitted stream: a reader and a writer.

The reader takes requests into the stream's `Exchange` and wakes the writer, which sends what the
client lacks. Nothing is queued in between: a client that reads slowly holds back its own writer
only, and then gets the newest state, not all the old ones.
"""

from __future__ import annotations

import asyncio
import logging

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_control.ads.exchange import Request
from mesh_control.ads.mesh import Mesh
from mesh_control.ads.messages import Dialect
from mesh_control.ads.metrics import DiscoveryMetrics
from mesh_control.ads.resources import EMPTY, Configuration
from mesh_control.ads.sessions import Session
from mesh_control.ads.translations import Translations
from mesh_core.clock import Clock
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream

log = logging.getLogger(__name__)

_SERVED = frozenset(
    {
        types.CLUSTER,
        types.ENDPOINT,
        types.LISTENER,
        types.ROUTE,
        types.SECRET,
        types.EXTENSION_CONFIG,
        types.NAME_TABLE,
    }
)


class Conversation:
    """Requests of one stream in, answers out, until either side ends it."""

    def __init__(
        self,
        stream: BytesStream,
        session: Session,
        dialect: Dialect,
        *,
        mesh: Mesh,
        translations: Translations,
        metrics: DiscoveryMetrics,
        clock: Clock,
    ) -> None:
        self._stream = stream
        self._session = session
        self._dialect = dialect
        self._mesh = mesh
        self._translations = translations
        self._metrics = metrics
        self._clock = clock

    async def run(self, first: Request) -> None:
        """Serve until the client ends the stream; GRPCError when this side does."""
        self._receive(first)
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(self._write())
                async for data in self._stream:
                    self._receive(decode(self._dialect, data))
                writer.cancel()
        except BaseExceptionGroup as group:
            task = asyncio.current_task()
            if task and task.cancelling():
                # The client is gone; whatever else went wrong at that moment tells nothing.
                raise asyncio.CancelledError from group
            raise group.exceptions[0] from None

    def _receive(self, request: Request) -> None:
        session = self._session
        if request.type_url == types.HEALTH_INFORMATION:
            self._mesh.health(session.connection, request.error is None, request.error or "")
            return
        if request.type_url not in _SERVED:
            log.debug("%s asks for %s, not served", session.proxy.id, request.type_url)
            return
        outcome = session.exchange.receive(request)
        for rejection in outcome.refused:
            self._metrics.refused(request.type_url)
            log.error(
                "%s refused %s %s: %s",
                session.proxy.id,
                types.short(request.type_url),
                rejection.resource or "(unnamed)",
                rejection.message,
            )
        session.wake()

    async def _write(self) -> None:
        session = self._session
        while True:
            await session.woken()
            if session.ended:
                raise GRPCError(Status.UNAVAILABLE, "the control plane is stopping")
            changed_at, session.changed_at = session.changed_at, None
            if session.stale:
                session.stale = False
                session.configuration = await self._configuration()
            for response in session.exchange.answers(session.configuration):
                await self._stream.send_message(self._dialect.encode(response))
                self._metrics.sent(response.type_url)
            if changed_at is not None:
                self._metrics.converged(self._clock.monotonic() - changed_at)

    async def _configuration(self) -> Configuration:
        """Return the newest configuration, or the present one when that cannot be made."""
        session = self._session
        try:
            configuration = await self._translations.of(session.proxy)
        except Exception as error:
            self._metrics.failed()
            log.exception("no configuration for %s", session.proxy.id)
            session.problem = f"{type(error).__name__}: {error}"
            if session.configuration is EMPTY:
                text = f"no configuration for {session.proxy.id}: {error}"
                raise GRPCError(Status.INTERNAL, text) from error
            return session.configuration
        session.problem = ""
        return configuration


def decode(dialect: Dialect, data: bytes) -> Request:
    """Read a request; GRPCError INVALID_ARGUMENT when it is none."""
    try:
        return dialect.decode(data)
    except ValueError as error:
        raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from error
