# SPDX-License-Identifier: Apache-2.0
"""What a session does when a control plane forgets the host's inbound clusters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from grpclib.const import Status

from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.record import Record
from mesh_agent.relay.session import DeltaSession
from mesh_agent.relay.upstream import Connector, Upstream, UpstreamError
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream

Said: TypeAlias = list[tuple[str, ...]]

OUT, IN = "outbound|80||api", "inbound|8080||"


@dataclass(slots=True)
class Clock:
    """Sleeping takes no time of the test's, and yields to all that is ready."""

    slept: list[float] = field(default_factory=list)
    passed: float = 0.0

    def now(self) -> Any:
        return None

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await settle()


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def rest() -> None:
    """Until nothing happens any more."""
    for _ in range(20):
        await settle()


class Stream:
    """A stream of the control plane: says what the test puts, and hears what it is asked."""

    endpoint = Endpoint("control", 15012)

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.asked: list[Any] = []

    def send(self, message: bytes) -> None:
        self.asked.append(discovery_pb2.DeltaDiscoveryRequest.FromString(message))

    async def receive(self) -> bytes:
        answer = await self.answers.get()
        if answer is None:
            raise UpstreamError("the connection was lost")
        return answer

    def put(self, *clusters: str, removed: tuple[str, ...] = ()) -> None:
        response = discovery_pb2.DeltaDiscoveryResponse(
            type_url=types.CLUSTER, nonce=f"n{id(self)}", removed_resources=removed
        )
        for name in clusters:
            response.resources.add(name=name, version="1")
        self.answers.put_nowait(response.SerializeToString())


class Control:
    """Opens streams: each says the next of ``script``, one response after the other. The last one
    is said again and again."""

    endpoints = (Stream.endpoint,)

    def __init__(self, *script: Said) -> None:
        self.script = list(script)
        self.streams: list[Stream] = []
        self.open_now = 0

    def on_identity_change(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[Stream]:
        stream = Stream()
        self.streams.append(stream)
        for clusters in self.script.pop(0) if len(self.script) > 1 else self.script[0]:
            stream.put(*clusters)
        self.open_now += 1
        try:
            yield stream
        finally:
            self.open_now -= 1


class World(Control):
    """A control plane that has only the state of the world."""

    @asynccontextmanager
    async def open(
        self, path: str, endpoint: Endpoint, _deadline: float, kind: type[Upstream], *_: object
    ) -> AsyncIterator[Any]:
        if path != types.ADS_STREAM:
            raise UpstreamError("no delta", Status.UNIMPLEMENTED)
        async with super().open() as stream:
            yield kind(endpoint, cast(Any, WorldStream(stream)))


class WorldStream:
    """The bytes of such a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    async def recv_message(self) -> bytes:
        await settle()  # it answers to what it was asked
        said = discovery_pb2.DeltaDiscoveryResponse.FromString(await self.stream.receive())
        response = discovery_pb2.DiscoveryResponse(
            type_url=said.type_url, nonce=said.nonce, version_info="1"
        )
        for each in said.resources:
            response.resources.add().Pack(cluster_pb2.Cluster(name=each.name))
        return bytes(response.SerializeToString())


class Envoy:
    """Asks for clusters and accepts each response."""

    def __init__(self, node_id: str, metadata: tuple[str, ...]) -> None:
        self.messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.got: list[tuple[list[str], list[str]]] = []
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=types.CLUSTER)
        request.node.id = node_id
        for key in metadata:
            request.node.metadata[key] = "x"
        self.messages.put_nowait(request.SerializeToString())

    def __aiter__(self) -> Envoy:
        return self

    async def __anext__(self) -> bytes:
        if (message := await self.messages.get()) is None:
            raise StopAsyncIteration
        return message

    async def send_message(self, message: bytes) -> None:
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(message)
        names = [each.name for each in response.resources]
        self.got.append((names, list(response.removed_resources)))
        accepted = discovery_pb2.DeltaDiscoveryRequest(
            type_url=response.type_url, response_nonce=response.nonce
        )
        self.messages.put_nowait(accepted.SerializeToString())


@dataclass(slots=True)
class Case:
    control: Control
    envoy: Envoy
    clock: Clock
    record: Record


@asynccontextmanager
async def case(
    tmp_path: Path,
    *script: Said,
    node_id: str = "sidecar~10.0.0.1~api-1.shop~shop.svc.cluster.local",
    metadata: tuple[str, ...] = ("AUTO_REGISTER_GROUP", "POD_PORTS"),
    control: type[Control] = Control,
) -> AsyncIterator[Case]:
    """A session that has come to rest."""
    clock = Clock()
    found = Case(control(*script), Envoy(node_id, metadata), clock, Record(clock))
    session = DeltaSession(
        cast(BytesStream, found.envoy),
        cast(Connector, found.control),
        LastGood(tmp_path),
        Companion(None, lambda: None),
        found.record,
        clock,
    )
    running = asyncio.create_task(session.run())
    await rest()
    yield found
    found.envoy.messages.put_nowait(None)
    await running


async def test_what_the_first_stream_forgot_comes_with_another_one(tmp_path: Path) -> None:
    async with case(tmp_path, [(OUT,)], [(IN,)]) as found:
        assert len(found.control.streams) == 2
        assert found.control.open_now == 1
        (waited,) = found.clock.slept
        assert 0.5 <= waited <= 1.0
        assert found.envoy.got == [([OUT], []), ([IN], [])]  # nothing is taken away or repeated
        (resumed, *_) = found.control.streams[1].asked
        assert resumed.initial_resource_versions.keys() == {OUT}
        assert "POD_PORTS" in resumed.node.metadata.fields
        assert found.record.status.connected
        assert found.record.counts.connection_failures == 0


async def test_one_without_delta_is_asked_again_too(tmp_path: Path) -> None:
    async with case(tmp_path, [(OUT,)], [(OUT, IN)], control=World) as found:
        assert len(found.control.streams) == 2
        assert found.control.open_now == 1
        assert found.envoy.got == [([OUT], []), ([IN], [])]


async def test_a_host_that_no_service_selects_is_asked_about_three_times(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with case(tmp_path, [(OUT,)]) as found:
        assert len(found.control.streams) == 4
        for waited, longest in zip(found.clock.slept, (1.0, 4.0, 16.0), strict=True):
            assert longest / 2 <= waited <= longest
        assert caplog.text.count("asking again") == 3
        assert caplog.text.count("no Service seems to select it") == 1
        assert not [each for each in caplog.records if each.levelno > logging.INFO]
        # A Service comes, goes, and comes with the next stream: that is the control plane's matter.
        found.control.streams[-1].put(IN)
        await rest()
        found.control.streams[-1].put(removed=(IN,))
        await rest()
        assert len(found.control.streams) == 4
        # It was seen: a stream that begins without it is a new case.
        found.control.script = [[(OUT,)], [(IN,)]]
        found.control.streams[-1].answers.put_nowait(None)
        await rest()
        assert len(found.control.streams) == 6
        assert found.envoy.got[-1] == ([IN], [])


@pytest.mark.parametrize(
    "different",
    [
        {"metadata": ("AUTO_REGISTER_GROUP",)},
        {"metadata": ("POD_PORTS",)},
        {"node_id": "router~10.0.0.1~gw-1.shop~shop.svc.cluster.local"},
    ],
)
async def test_who_serves_nothing_is_not_asked_about(
    different: dict[str, Any], tmp_path: Path
) -> None:
    async with case(tmp_path, [(OUT,)], **different) as found:
        assert len(found.control.streams) == 1
        assert found.clock.slept == []


async def test_one_that_comes_by_itself_is_waited_for(tmp_path: Path) -> None:
    async with case(tmp_path, [(OUT,), (IN,)]) as found:
        assert found.envoy.got == [([OUT], []), ([IN], [])]
        assert len(found.control.streams) == 1
