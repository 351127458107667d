# SPDX-License-Identifier: Apache-2.0
"""When the relay calls the control plane again, told by a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from grpclib.const import Status

from mesh_agent.identity.dial import CALL_ERRORS
from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.upstream import (
    Lost,
    News,
    Opened,
    Received,
    UpstreamError,
    WorldUpstream,
    follow,
)
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types

FIRST, SECOND = Endpoint("127.0.0.1", 1), Endpoint("127.0.0.1", 2)


@dataclass(slots=True)
class Clock:
    """Sleeping takes no time of the test's; after ``most`` sleeps it is ``over``."""

    most: int
    passed: float = 0.0
    slept: list[float] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> Any:
        raise NotImplementedError

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        if len(self.slept) == self.most:
            self.over.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)


@dataclass(slots=True)
class Control:
    """Addresses and what a call to one of them comes to."""

    answer: Callable[[int, str, Endpoint], UpstreamError | float]
    clock: Clock
    endpoints: tuple[Endpoint, ...] = (FIRST,)
    calls: list[tuple[str, Endpoint, type[Any]]] = field(default_factory=list)
    fails_after: float = 0.0
    answers_after: float = 0.0

    def on_identity_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    @asynccontextmanager
    async def open(
        self, path: str, endpoint: Endpoint, deadline: float, kind: type[Any]
    ) -> AsyncIterator[Any]:
        self.calls.append((path, endpoint, kind))
        answer = self.answer(len(self.calls), path, endpoint)
        if isinstance(answer, UpstreamError):
            self.clock.passed += self.fails_after
            raise answer
        yield Stream(self.clock, answer, self.answers_after)


@dataclass(slots=True)
class Stream:
    """Answers once after a while, and ends some seconds later."""

    clock: Clock
    seconds: float
    answers_after: float = 0.0
    answered: bool = False

    async def receive(self) -> bytes:
        if not self.answered:
            self.answered = True
            self.clock.passed += self.answers_after
            return b"x"
        self.clock.passed += self.seconds
        raise UpstreamError("the connection was lost")


def world_response(body: bytes) -> bytes:
    response = discovery_pb2.DiscoveryResponse(type_url=types.CLUSTER, nonce="1")
    response.resources.add(type_url=types.CLUSTER, value=body)
    return bytes(response.SerializeToString())


async def run(control: Control) -> list[News]:
    heard: list[News] = []

    async def tell(news: News) -> None:
        heard.append(news)

    following = asyncio.create_task(
        follow(control, tell, first_seconds=1.0, clock=control.clock)  # type: ignore[arg-type]
    )
    await control.clock.over.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    return heard


def gone(status: Status | None = None) -> UpstreamError:
    return UpstreamError("no", status)


async def test_rounds_over_all_addresses_are_further_and_further_apart() -> None:
    clock = Clock(9)
    control = Control(lambda *_: gone(Status.UNAVAILABLE), clock, (FIRST, SECOND))
    await run(control)
    assert [endpoint for _, endpoint, _ in control.calls] == [FIRST, SECOND] * 9
    for index, slept in enumerate(clock.slept):
        longest = min(15.0, 0.2 * 2**index)
        assert longest / 2 <= slept <= longest


async def test_one_that_has_too_many_clients_is_left_alone_for_longer() -> None:
    clock = Clock(4)
    await run(Control(lambda *_: gone(Status.RESOURCE_EXHAUSTED), clock))
    for index, slept in enumerate(clock.slept):
        longest = min(15.0, 1.0 * 2**index)
        assert longest / 2 <= slept <= longest


async def test_hosts_do_not_come_back_together() -> None:
    waits = set()
    for _ in range(5):
        clock = Clock(1)
        await run(Control(lambda *_: gone(), clock))
        waits |= set(clock.slept)
    assert len(waits) > 1


async def test_after_a_long_good_stream_it_calls_soon() -> None:
    clock = Clock(8)

    def answer(call: int, path: str, endpoint: Endpoint) -> UpstreamError | float:
        return 1800.0 if call == 7 else gone(Status.RESOURCE_EXHAUSTED)

    heard = await run(Control(answer, clock))
    assert clock.slept[5] > 7
    assert clock.slept[6] <= 0.2
    assert [type(news) for news in heard[6:9]] == [Opened, Received, Lost]


@pytest.mark.parametrize("answers_after", [0.0, 30.0])
async def test_short_streams_do_not_make_a_hot_loop(answers_after: float) -> None:
    clock = Clock(7)
    await run(Control(lambda *_: 0.1, clock, answers_after=answers_after))
    assert clock.slept[-1] > 5


async def test_one_that_takes_long_to_fail_is_asked_more_and_more_seldom() -> None:
    clock = Clock(9)
    await run(Control(lambda *_: gone(), clock, (FIRST, SECOND), fails_after=30.0))
    assert clock.slept[-1] > 7


async def test_one_without_delta_is_asked_for_the_state_of_the_world_at_once() -> None:
    def answer(call: int, path: str, endpoint: Endpoint) -> UpstreamError | float:
        return gone(Status.UNIMPLEMENTED) if path == types.ADS_DELTA else 5.0

    clock = Clock(2)
    control = Control(answer, clock)
    heard = await run(control)
    assert [path for path, _, _ in control.calls] == [types.ADS_DELTA, types.ADS_STREAM] * 2
    assert control.calls[1][2] is WorldUpstream
    assert [type(news) for news in heard] == [Opened, Received, Lost] * 2


async def test_one_without_either_is_not_asked_in_a_hot_loop() -> None:
    clock = Clock(3)
    control = Control(lambda *_: gone(Status.UNIMPLEMENTED), clock)
    heard = await run(control)
    assert len(control.calls) == 6
    assert [type(news) for news in heard] == [Lost] * 3


class Raw:
    """A gRPC stream that brings these bytes."""

    def __init__(self, message: bytes) -> None:
        self.message = message

    async def recv_message(self) -> bytes:
        return self.message


@pytest.mark.parametrize("message", [b"\xff", world_response(b"\xff")])
async def test_what_cannot_be_read_of_the_world_ends_its_stream(message: bytes) -> None:
    upstream = WorldUpstream(FIRST, cast(Any, Raw(message)))
    with pytest.raises(CALL_ERRORS):
        await upstream.receive()
