# SPDX-License-Identifier: Apache-2.0
"""Questions that are not about the mesh: to the host's own resolvers, whichever answers first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from mesh_agent.dns import wire
from mesh_agent.dns.counters import Counters
from mesh_agent.dns.resolvconf import Upstream
from mesh_agent.dns.transport import ask
from mesh_core.clock import Clock

log = logging.getLogger(__name__)

_ROUNDS: Final = 2
_HEDGE_SHARE: Final = 0.25
"""Part of an upstream's time after which the next one is asked as well."""
_PAUSE_SECONDS: Final = 0.2
"""Before a second round when all were refused at once: a resolver that is being restarted."""
_AVOID_SECONDS: Final = 30.0
"""How long an upstream that did not answer is asked last."""
_NEXT_PLEASE: Final = (wire.SERVFAIL, wire.NOTIMP, wire.REFUSED)


class Forwarder:
    """Asks ``upstreams``, which may be replaced at any time."""

    def __init__(self, *, timeout: float, limit: int, counters: Counters, clock: Clock) -> None:
        """``timeout`` is each upstream's in seconds; ``limit`` the number of clients waiting."""
        self.upstreams: Sequence[Upstream] = ()
        self._timeout = timeout
        self._limit = limit
        self._counters = counters
        self._clock = clock
        self._waiting = 0
        self._flights: dict[bytes, asyncio.Task[bytes | None]] = {}
        self._failed: dict[Upstream, float] = {}

    async def resolve(self, query: bytes) -> bytes | None:
        """Return an upstream's answer to ``query``, or None when there is none to be had.

        The same question from several clients at one time is asked once. That also ends the circle
        when an upstream asks us in turn.
        """
        if self._waiting >= self._limit:
            self._counters.limited += 1
            return None
        question = query[2:]
        flight = self._flights.get(question)
        if flight is None:
            flight = asyncio.create_task(self._race(query), name="dns forward")
            self._flights[question] = flight
            flight.add_done_callback(lambda _unused: self._flights.pop(question, None))
        self._waiting += 1
        try:
            answer = await asyncio.shield(flight)
        finally:
            self._waiting -= 1
        return query[:2] + answer[2:] if answer else None

    async def close(self) -> None:
        """Give up what is under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _race(self, query: bytes) -> bytes | None:
        """Ask in order, the next one when one fails or takes long; once more those that are mute.

        An error that an upstream answered is returned when no other one knew better.
        """
        error: bytes | None = None
        mute = self._ordered()
        try:
            async with asyncio.timeout(self._timeout * _ROUNDS):
                for round_number in range(_ROUNDS):
                    if round_number and mute:
                        await self._clock.sleep(_PAUSE_SECONDS)
                    found, mute, told = await self._round(mute, query)
                    if found:
                        return found
                    error = told or error
        except TimeoutError:
            pass
        return error

    async def _round(
        self, upstreams: list[Upstream], query: bytes
    ) -> tuple[bytes | None, list[Upstream], bytes | None]:
        """Return the answer, who did not answer, and an error that was answered."""
        if len(upstreams) == 1:  # most hosts: nobody to ask meanwhile, and no task for it
            answer = await self._attempt(upstreams[0], query)
            if answer is None:
                return None, upstreams, None
            failed = wire.code_of(answer) in _NEXT_PLEASE
            return (None, [], answer) if failed else (answer, [], None)
        tasks: dict[asyncio.Task[bytes | None], Upstream] = {}
        pending: set[asyncio.Task[bytes | None]] = set()
        mute, error, rest = [], None, list(upstreams)
        try:
            while rest or pending:
                if rest:
                    upstream = rest.pop(0)
                    task = asyncio.create_task(self._attempt(upstream, query))
                    tasks[task] = upstream
                    pending.add(task)
                done, pending = await asyncio.wait(
                    pending,
                    timeout=self._timeout * _HEDGE_SHARE if rest else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done:
                    answer = task.result()
                    if answer is None:
                        mute.append(tasks[task])
                    elif wire.code_of(answer) in _NEXT_PLEASE:
                        error = answer
                    else:
                        self._avoid_slower(task, tasks, pending)
                        return answer, [], None
            return None, mute, error
        finally:
            for task in pending:
                task.cancel()

    def _avoid_slower(
        self,
        winner: asyncio.Task[bytes | None],
        tasks: dict[asyncio.Task[bytes | None], Upstream],
        pending: set[asyncio.Task[bytes | None]],
    ) -> None:
        """Remember who was asked before ``winner`` and has not answered yet."""
        for task, upstream in tasks.items():
            if task is winner:
                return
            if task in pending:
                self._failed[upstream] = self._clock.monotonic()

    async def _attempt(self, upstream: Upstream, query: bytes) -> bytes | None:
        began = self._clock.monotonic()
        self._counters.upstream_requests += 1
        try:
            async with asyncio.timeout(self._timeout):
                answer = await ask(upstream, query)
        except (OSError, TimeoutError) as problem:
            self._counters.upstream_failures += 1
            if upstream not in self._failed:
                log.warning("upstream %s does not answer: %s", upstream, str(problem) or "timeout")
            self._failed[upstream] = self._clock.monotonic()
            return None
        self._failed.pop(upstream, None)
        self._counters.upstream_seconds.add(self._clock.monotonic() - began)
        return answer

    def _ordered(self) -> list[Upstream]:
        """Return the upstreams, those last that failed a short while ago."""
        since = self._clock.monotonic() - _AVOID_SECONDS
        failed = {u: at for u, at in self._failed.items() if u in self.upstreams and at > since}
        self._failed = failed
        return sorted(self.upstreams, key=lambda upstream: upstream in failed)
