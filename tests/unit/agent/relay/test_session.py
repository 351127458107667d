# SPDX-License-Identifier: Apache-2.0
"""When a session follows the control plane anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay import session
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.inbound import Inbound
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.record import Record
from mesh_agent.relay.upstream import UpstreamError
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types
from tests.wire.agent.support.clock import StepClock


async def test_only_a_starting_envoy_has_no_time_for_a_slow_control_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is asked again, for what it forgot, is asked for an Envoy that can wait."""
    first_seconds: list[float] = []
    followed = asyncio.Event()

    async def follow(*_given: object, **given: Any) -> None:
        first_seconds.append(given["first_seconds"])
        if len(first_seconds) == 3:
            followed.set()
        await asyncio.Event().wait()

    async def overdue(_self: Inbound) -> None:
        if len(first_seconds) == 3:
            await asyncio.Event().wait()

    monkeypatch.setattr(session, "follow", follow)
    monkeypatch.setattr(Inbound, "overdue", overdue)
    store = LastGood(tmp_path)
    store.commit(types.CLUSTER, (), ())
    clock = StepClock()
    unused = cast(Any, None)
    serving = session.DeltaSession(unused, unused, store, unused, Record(clock), clock)
    following = asyncio.create_task(serving._follow())
    async with asyncio.timeout(5):
        await followed.wait()
    following.cancel()
    assert first_seconds == [session.FIRST_ANSWER_SECONDS, *[session.PATIENT_SECONDS] * 2]


class Mute:
    """A control plane that cannot be reached first, and then takes a stream and says nothing."""

    endpoints = (Endpoint("control", 15012),)
    endpoint = endpoints[0]

    def __init__(self) -> None:
        self.tries = 0
        self.asked: list[Any] = []
        self.opened = asyncio.Event()

    def on_identity_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[Mute]:
        self.tries += 1
        if self.tries == 1:
            raise UpstreamError("away")
        yield self

    def send(self, message: bytes) -> None:
        self.asked.append(discovery_pb2.DeltaDiscoveryRequest.FromString(message))
        self.opened.set()

    async def receive(self) -> bytes:
        return await asyncio.Event().wait() or b""


class Envoy:
    """Asks what the test says, and keeps the names that it gets."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.got: asyncio.Queue[list[str]] = asyncio.Queue()

    def ask(self, type_url: str) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url)
        self.messages.put_nowait(request.SerializeToString())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while message := await self.messages.get():
            yield message

    async def send_message(self, message: bytes) -> None:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(message)
        self.got.put_nowait([each.name for each in response.resources])


async def test_a_mute_control_plane_does_not_keep_envoy_from_what_is_there(tmp_path: Path) -> None:
    store, clock = LastGood(tmp_path), StepClock()
    for type_url, name in ((types.CLUSTER, "c"), (types.LISTENER, "l")):
        store.commit(type_url, [discovery_pb2.Resource(name=name, version="1")], ())
    control, envoy = Mute(), Envoy()
    serving = session.DeltaSession(
        cast(Any, envoy),
        cast(Any, control),
        store,
        Companion(None, lambda: None),
        Record(clock),
        clock,
    )
    running = asyncio.create_task(serving.run())
    async with asyncio.timeout(5):
        envoy.ask(types.CLUSTER)
        assert await envoy.got.get() == ["c"]
        await control.opened.wait()
        envoy.ask(types.LISTENER)  # a busy Envoy does so when the next stream is there already
        assert await envoy.got.get() == ["l"]
        envoy.messages.put_nowait(None)
        await running
    listeners = [each for each in control.asked if each.type_url == types.LISTENER]
    assert [list(each.initial_resource_versions) for each in listeners] == [["l"]]
