# SPDX-License-Identifier: Apache-2.0
"""One delta stream of Envoy and, behind it, one upstream stream after the other.

All that happens arrives in one inbox and is dealt with in order, so the state needs no locks.
While no control plane answers, Envoy's stream stays: what Envoy lacks comes from the last good
resources. When one answers again, the stream goes on where Envoy is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from mesh_agent.adapt.adapter import Adapter
from mesh_agent.relay import local
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.dialect import Delta
from mesh_agent.relay.fit import fit, opens
from mesh_agent.relay.inbound import Inbound
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.record import Record
from mesh_agent.relay.subscriptions import Reaction, Subscriptions
from mesh_agent.relay.upstream import (
    PATIENT_SECONDS,
    Connector,
    Lost,
    News,
    Opened,
    Received,
    Upstream,
    first_of,
    follow,
)
from mesh_core.clock import Clock
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream

log = logging.getLogger(__name__)

# How long a starting Envoy waits for a control plane when there is a last good configuration.
FIRST_ANSWER_SECONDS = 1.0
_INBOX = 8  # enough not to stop either side for every message, few enough to hold back a flood
_LOCAL = "the last good resources"
# Of a refused update of these, Envoy takes all but what it complains of.
_APPLIED_ONE_BY_ONE = frozenset({types.CLUSTER, types.LISTENER})


@dataclass(frozen=True, slots=True)
class _Asked:
    message: bytes


class _EnvoyLeft:
    pass


class DeltaSession:
    """Serves ``stream`` until Envoy leaves."""

    def __init__(
        self,
        stream: BytesStream,
        connector: Connector,
        store: LastGood,
        companion: Companion,
        record: Record,
        clock: Clock,
    ) -> None:
        self._stream = stream
        self._connector = connector
        self._store = store
        self._companion = companion
        self._record = record
        self._clock = clock
        self._inbox: asyncio.Queue[News | _Asked | _EnvoyLeft] = asyncio.Queue(_INBOX)
        self._subscriptions = Subscriptions()
        self._adapter: Adapter | None = None  # until Envoy has said what it has
        self._inbound = Inbound(clock)
        self._upstream: Upstream | None = None
        self._without_control_plane = False
        self._health_told = False
        self._served = 0

    async def run(self) -> None:
        """Deal with the inbox until Envoy leaves."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            following: asyncio.Task[None] | None = None
            while not isinstance(event := await self._inbox.get(), _EnvoyLeft):
                await self._handle(event)
                if following is None:  # Envoy's first request has its node
                    following = tasks.create_task(self._follow())
            if following:
                following.cancel()

    def report_health(self) -> None:
        """Report the application's health, if Envoy has listeners and there is someone to tell."""
        listeners = self._subscriptions.get(types.LISTENER)
        if self._upstream and listeners and (listeners.accepted or listeners.versions):
            if report := self._companion.health_report(Delta):
                self._upstream.send(report)
            self._health_told = True

    def held(self, type_url: str) -> Collection[str] | None:
        """Return the names of a type that Envoy holds, None if it did not ask for the type."""
        subscription = self._subscriptions.get(type_url)
        return subscription.versions.keys() if subscription else None

    async def _read(self) -> None:
        async for message in self._stream:
            await self._inbox.put(_Asked(message))
        await self._inbox.put(_EnvoyLeft())

    async def _follow(self) -> None:
        seconds = FIRST_ANSWER_SECONDS if self._store else PATIENT_SECONDS
        while True:
            following = follow(
                self._connector, self._inbox.put, first_seconds=seconds, clock=self._clock
            )
            await first_of(following, self._inbound.overdue())
            seconds = PATIENT_SECONDS  # Envoy has started

    async def _handle(self, event: News | _Asked) -> None:
        match event:
            case _Asked(message):
                await self._asked(message)
            case Opened(upstream):
                self._opened(upstream)
            case Received(upstream, message):
                await self._received(upstream, message)
            case Lost(reason):
                await self._lost(reason)

    async def _asked(self, message: bytes) -> None:
        request = Delta.read_request(message)
        self._record.counts.requests[types.short(request.type_url)] += 1
        if request.HasField("node"):
            self._adapter = Adapter.of(request.node)
            self._inbound.meet(request.node)
        reaction = self._subscriptions.request(request)
        self._note_judgement(reaction)
        # Also while one that does not answer yet has been asked: it may never do so. First this,
        # so that it is told what Envoy has from here.
        if self._without_control_plane:
            await self._answer(reaction.type_url)
        if self._upstream:
            self._pass_on(self._upstream, message, request, reaction)
        if not self._health_told:
            self.report_health()

    def _pass_on(
        self, upstream: Upstream, message: bytes, request: Any, reaction: Reaction
    ) -> None:
        if reaction.first:
            opening = self._subscriptions.opening(reaction.type_url, self._store.versions())
            upstream.send(opening.SerializeToString())
            if reaction.type_url == types.LISTENER:
                self._introduce(upstream)
        elif not request.response_nonce or (reaction.judged and reaction.judged.origin is upstream):
            upstream.send(message)
        elif reaction.subscribed or reaction.unsubscribed:
            # It judges what another server sent: of that this one knows nothing.
            request.ClearField("response_nonce")
            request.ClearField("error_detail")
            upstream.send(request.SerializeToString())

    def _opened(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._inbound.begin()
        for request in self._subscriptions.resume(self._store.versions()):
            upstream.send(request.SerializeToString())
        if self._subscriptions.wants(types.LISTENER):
            self._introduce(upstream)
        self._health_told = False
        self.report_health()

    def _introduce(self, upstream: Upstream) -> None:
        for message in self._companion.introduction(Delta):
            upstream.send(message)

    async def _received(self, upstream: Upstream, message: bytes) -> None:
        self._record.connected(str(upstream.endpoint))
        self._without_control_plane = False
        try:
            response = Delta.read_response(message)
        except DecodeError as error:
            log.error("%s sent an unreadable response: %s", upstream.endpoint, error)
            return
        self._record.counts.responses[types.short(response.type_url)] += 1
        if response.type_url == types.NAME_TABLE:
            upstream.send(self._companion.hear(Delta, response))
            return
        self._subscriptions.response(response, upstream)
        if response.type_url == types.CLUSTER:
            self._inbound.hear(self._subscriptions.coming(types.CLUSTER))
        await self._give(response, message)

    async def _lost(self, reason: str) -> None:
        self._upstream = None
        self._without_control_plane = True
        self._record.lost(reason, cached=bool(self._store))
        for type_url, _unused in list(self._subscriptions):
            await self._answer(type_url)

    async def _answer(self, type_url: str) -> None:
        """Give Envoy what it lacks of a type from the last good resources."""
        subscription = self._subscriptions.get(type_url)
        nonce = f"kept-{self._served + 1}"
        if not subscription or not (
            response := local.answer(self._store, type_url, subscription, nonce)
        ):
            return
        self._served += 1
        self._record.counts.served_from_cache += len(response.resources)
        log.info("Envoy gets %d last good %s", len(response.resources), types.short(type_url))
        self._subscriptions.response(response, _LOCAL)
        await self._give(response, response.SerializeToString())

    async def _give(self, response: Any, message: bytes) -> None:
        """Send Envoy a response, fitted to it. What is kept stays as it came.

        So another Envoy, or another agent, makes the best of the same last good resources.
        """
        if self._adapter and opens(self._adapter, response.type_url):
            fitted = Delta.read_response(message)
            await fit(self._adapter, fitted.type_url, Delta.packed(fitted))
            message = fitted.SerializeToString()
        await self._stream.send_message(message)

    def _note_judgement(self, reaction: Reaction) -> None:
        update, type_url = reaction.judged, reaction.type_url
        if update is None:
            return
        if reaction.refusal is not None:
            refused = self._record.refused(type_url, update.names, reaction.refusal)
            if "" in refused or type_url not in _APPLIED_ONE_BY_ONE:
                return
            update = update.without(refused)
            self._subscriptions.take(update)
        self._record.accepted(type_url, update.names)
        if update.origin is not _LOCAL:
            self._store.commit(type_url, update.resources, update.removed)
