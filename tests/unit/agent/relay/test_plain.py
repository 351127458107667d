# SPDX-License-Identifier: Apache-2.0
"""What becomes of an Envoy without delta when a control plane forgets its inbound clusters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.service import RelayService
from mesh_agent.relay.upstream import Connector
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types
from mesh_core.wire.rpc import BytesStream
from tests.wire.agent.support.clock import StepClock

OUT, IN = "outbound|80||api", "inbound|8080||"


class Silence:
    """A stream on which nothing more is said."""

    endpoint = Endpoint("control", 15012)

    def __init__(self, *clusters: str) -> None:
        response = discovery_pb2.DiscoveryResponse(type_url=types.CLUSTER, nonce="1")
        for name in clusters:
            response.resources.add().Pack(cluster_pb2.Cluster(name=name))
        self.message: bytes | None = response.SerializeToString()

    def send(self, message: bytes) -> None:
        pass

    async def receive(self) -> bytes:
        message, self.message = self.message, None
        if message is None:
            await asyncio.Event().wait()
        return message or b""


@dataclass(slots=True)
class Control:
    """Each stream begins with the next of these answers, and with the last one ever after."""

    answers: list[tuple[str, ...]]
    endpoints: tuple[Endpoint, ...] = (Silence.endpoint,)

    @asynccontextmanager
    async def open(self, *_: object) -> AsyncIterator[Silence]:
        yield Silence(*(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))


@dataclass(slots=True)
class Envoy:
    """One stream of it: asks for clusters once, and leaves when told to."""

    got: list[list[str]] = field(default_factory=list)
    leaves: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        request = discovery_pb2.DiscoveryRequest(type_url=types.CLUSTER)
        request.node.id = "sidecar~10.0.0.1~api-1.shop~shop.svc.cluster.local"
        for key in ("AUTO_REGISTER_GROUP", "POD_PORTS"):
            request.node.metadata[key] = "x"
        yield request.SerializeToString()
        await self.leaves.wait()

    async def send_message(self, message: bytes) -> None:
        response = discovery_pb2.DiscoveryResponse.FromString(message)
        self.got.append(
            [cluster_pb2.Cluster.FromString(each.value).name for each in response.resources]
        )


async def stays(serve: Callable[[BytesStream], Any]) -> list[list[str]]:
    """What an Envoy gets on a stream that is left to it."""
    envoy = Envoy()
    serving = asyncio.create_task(serve(cast(BytesStream, envoy)))
    for _ in range(200):
        await asyncio.sleep(0)
    assert not serving.done()
    envoy.leaves.set()
    await serving
    return envoy.got


def service(directory: Path, clock: StepClock, *answers: tuple[str, ...]) -> RelayService:
    return RelayService(
        cast(Connector, Control(list(answers))),
        LastGood(directory),
        Companion(None, lambda: None),
        clock,
    )


async def test_it_is_made_to_begin_anew(tmp_path: Path) -> None:
    clock = StepClock()
    relay = service(tmp_path, clock, (OUT,), (OUT, IN))
    serve = relay.handlers()[types.ADS_STREAM]
    envoy = Envoy()
    with pytest.raises(GRPCError, match="inbound clusters are missing") as raised:
        await serve(cast(BytesStream, envoy))
    assert raised.value.status is Status.UNAVAILABLE  # so Envoy keeps what it has
    assert envoy.got == [[OUT]]
    assert 0.5 <= clock.passed <= 1.0
    assert relay.record.counts.connection_failures == 0
    assert await stays(serve) == [[OUT, IN]]


async def test_one_that_no_service_selects_is_made_to_three_times(tmp_path: Path) -> None:
    clock = StepClock()
    serve = service(tmp_path, clock, (OUT,)).handlers()[types.ADS_STREAM]
    for longest in (1.0, 4.0, 16.0):
        before = clock.passed
        with pytest.raises(GRPCError):
            await serve(cast(BytesStream, Envoy()))
        assert longest / 2 <= clock.passed - before <= longest
    assert await stays(serve) == [[OUT]]
