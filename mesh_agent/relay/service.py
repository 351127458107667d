# SPDX-License-Identifier: Apache-2.0
"""The relay's server: one stream of Envoy at a time, and what is kept for the next one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.relay.companion import Companion
from mesh_agent.relay.dialect import Delta, Sotw
from mesh_agent.relay.inbound import Inbound
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.plain import SotwSession
from mesh_agent.relay.record import Record
from mesh_agent.relay.session import DeltaSession
from mesh_agent.relay.upstream import Connector
from mesh_core.clock import Clock
from mesh_core.wire.rpc import BytesStream, StreamHandler

log = logging.getLogger(__name__)


class RelayService:
    """Carries Envoy's ADS streams; ``record`` has what is told of it."""

    def __init__(
        self, connector: Connector, store: LastGood, companion: Companion, clock: Clock
    ) -> None:
        self.record = Record(clock)
        self.streams = 0  # of Envoy, since the start
        self._connector = connector
        self._store = store
        self._companion = companion
        self._clock = clock
        self._inbound = Inbound(clock)  # of all streams of the state of the world
        self._session: DeltaSession | SotwSession | None = None
        self._serving: asyncio.Task[None] | None = None

    def handlers(self) -> Mapping[str, StreamHandler]:
        """Return the streams to serve, by gRPC path."""
        return {Delta.path: self._delta, Sotw.path: self._sotw}

    def report_health(self) -> None:
        """Tell the control plane that the application's health changed."""
        if self._session:
            self._session.report_health()

    async def run(self) -> None:
        """Keep what Envoy accepts on disk, for ever; what is new is written at the end, too."""
        try:
            await self._store.run(self.held, self._clock)
        finally:
            self._store.save(self.held)

    async def _delta(self, stream: BytesStream) -> None:
        await self._serve(
            DeltaSession(
                stream, self._connector, self._store, self._companion, self.record, self._clock
            )
        )

    async def _sotw(self, stream: BytesStream) -> None:
        await self._serve(
            SotwSession(stream, self._connector, self._companion, self.record, self._inbound)
        )

    async def _serve(self, session: DeltaSession | SotwSession) -> None:
        if self._serving:
            log.info("another stream of Envoy takes over")
            self._serving.cancel()
        serving = asyncio.create_task(session.run())
        self._session, self._serving = session, serving
        self.streams += 1
        try:
            await serving
        except asyncio.CancelledError:
            if (handler := asyncio.current_task()) and handler.cancelling():
                raise
            raise GRPCError(Status.ABORTED, "another stream took over") from None
        finally:
            if self._serving is serving:
                self._session = self._serving = None
                self.record.envoy_gone()

    def held(self, type_url: str) -> Collection[str] | None:
        """Return the names of a type that Envoy holds, None if that is not known."""
        return self._session.held(type_url) if isinstance(self._session, DeltaSession) else None
