# SPDX-License-Identifier: Apache-2.0
"""The agent with istiods that forget, die and have too much to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from lab.cluster import ApiServer, Istiod
from mesh_agent.adapt.views import Named
from mesh_agent.envoy.node import node
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.upstream import (
    Connector,
    News,
    Opened,
    Received,
    Upstream,
    UpstreamError,
    follow,
)
from mesh_agent.settings import AgentSettings, Paths
from mesh_core.clock import SystemClock
from mesh_core.pki import new_csr, new_key
from mesh_core.wire import rpc, types
from tests.wire.agent.support.host import running_host, without_delta
from tests.wire.agent.support.meshes import Mesh, host_of, service
from tests.wire.agent.support.proxy import running_envoy
from tests.wire.agent.support.wait import until

pytestmark = [
    pytest.mark.needs_tools,
    pytest.mark.timeout(180),
    pytest.mark.parametrize("mesh", ["istiod"], indirect=True),
]

STREAMS_PER_SECOND = 6


@pytest.fixture(scope="module")
def second(
    api_server: ApiServer, istiod: Istiod, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Istiod]:
    """Another istiod of the same cluster and root. It takes few new streams."""
    environment = {
        "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": "2s",
        "PILOT_MAX_REQUESTS_PER_SECOND": str(STREAMS_PER_SECOND),
    }
    directory = tmp_path_factory.mktemp("istiod-2")
    with Istiod(
        api_server, directory, name="istiod-2", root=istiod.root, environment=environment
    ) as server:
        yield server


def as_host(settings: AgentSettings, number: int) -> AgentSettings:
    """Another host of the same workload."""
    workload = replace(
        settings.workload, name=f"api-{number}", addresses=(f"10.231.2.{number + 1}",)
    )
    return replace(settings, workload=workload)


def first_request(settings: AgentSettings) -> bytes:
    """What Envoy begins with."""
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=types.CLUSTER)
    json_format.ParseDict(node(settings, has_ipv6=False), request.node)
    return request.SerializeToString()


async def clusters(settings: AgentSettings, paths: Paths) -> AsyncGenerator[set[str], None]:
    """Join as an Envoy does that accepts all; yields the names that it has after each response."""
    async with (
        rpc.unix_channel(paths.xds_socket) as channel,
        rpc.open_stream(channel, types.ADS_DELTA) as stream,
    ):
        await stream.send_message(first_request(settings))
        held: set[str] = set()
        try:
            while True:
                message = await stream.recv_message()
                response = discovery_pb2.DeltaDiscoveryResponse.FromString(message or b"")
                held |= {each.name for each in response.resources}
                held -= set(response.removed_resources)
                accepted = discovery_pb2.DeltaDiscoveryRequest(
                    type_url=response.type_url, response_nonce=response.nonce
                )
                await stream.send_message(accepted.SerializeToString())
                yield held
        finally:
            await stream.cancel()


async def worlds(settings: AgentSettings, paths: Paths) -> AsyncGenerator[set[str], None]:
    """The same of an Envoy that asks for the state of the world, and begins anew when it must."""
    request = discovery_pb2.DiscoveryRequest(type_url=types.CLUSTER)
    json_format.ParseDict(node(settings, has_ipv6=False), request.node)
    while True:
        with suppress(GRPCError):
            async with (
                rpc.unix_channel(paths.xds_socket) as channel,
                rpc.open_stream(channel, types.ADS_STREAM) as stream,
            ):
                await stream.send_message(request.SerializeToString())
                try:
                    while message := await stream.recv_message():
                        response = discovery_pb2.DiscoveryResponse.FromString(message)
                        yield {Named.FromString(each.value).name for each in response.resources}
                        accepted = discovery_pb2.DiscoveryRequest(
                            type_url=response.type_url,
                            response_nonce=response.nonce,
                            version_info=response.version_info,
                        )
                        await stream.send_message(accepted.SerializeToString())
                except GeneratorExit:
                    await stream.cancel()
                    raise


@pytest.mark.parametrize("form", ["delta", "no delta in istiod", "no delta in Envoy"])
async def test_hosts_get_the_inbound_clusters_that_istiod_forgot(
    form: str,
    mesh: Mesh,
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Istiod forgets them for one host in five whose labels only the WorkloadGroup has."""
    if form == "no delta in istiod":
        without_delta(monkeypatch)
    settings = host_of(mesh, tmp_path, ports=("http",))
    settings = replace(settings, workload=replace(settings.workload, labels={}))
    join = worlds if form == "no delta in Envoy" else clusters
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        for number in range(20):
            joining = join(as_host(settings, number), paths)
            async with asyncio.timeout(30), aclosing(joining):
                async for held in joining:
                    if "inbound|8080||" in held:
                        break
    assert "was not ended" not in caplog.text  # streams that this side leaves are no failures


@pytest.mark.needs_envoy
async def test_when_an_istiod_dies_another_one_goes_on(
    mesh: Mesh,
    istiod: Istiod,
    second: Istiod,
    api_server: ApiServer,
    paths: Paths,
    tmp_path: Path,
    envoy_binary: Path,
) -> None:
    settings = host_of(mesh, tmp_path, ports=("http",))
    addresses = (*istiod.addresses, *second.addresses)
    settings = replace(settings, control_plane=replace(settings.control_plane, addresses=addresses))

    def entries() -> list[tuple[str, str]]:
        found = api_server.get("workloadentries", f"--namespace={mesh.namespace}")
        return [(each["metadata"]["name"], each["metadata"]["uid"]) for each in found["items"]]

    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 15)

            async def serves() -> bool:
                return "inbound|8080||" in await envoy.names("clusters")

            await until(serves, 15)
            assert host.relay.record.status.address == istiod.addresses[0]
            held, (entry,) = (await envoy.names("clusters")).keys(), entries()
            for dies, goes_on in ((istiod, second), (second, istiod)):
                dies.kill()
                try:
                    await until(
                        lambda there=goes_on.addresses[0]: (
                            host.relay.record.status.address == there
                        ),
                        5,
                    )
                    new = f"by-{goes_on.plan.name}"
                    mesh.apply(service(new))
                    wanted = {f"outbound|80||{new}.{mesh.namespace}.svc.cluster.local"}
                    began = time.monotonic()
                    while time.monotonic() - began < 4 or not wanted <= held:
                        assert entries() == [entry]  # also after the time that a lost host has
                        now = (await envoy.names("clusters")).keys()
                        assert held <= now
                        held = now
                        assert time.monotonic() - began < 20
                finally:
                    dies.launch()
            assert host.relay.streams == 1
            assert host.relay.record.refusals == ()


@dataclass(slots=True)
class Counting:
    """A connector that notes when it was used, and when it was told that there are too many."""

    connector: Connector
    tries: list[float] = field(default_factory=list)
    exhausted: list[float] = field(default_factory=list)

    @property
    def endpoints(self) -> Any:
        return self.connector.endpoints

    @property
    def on_identity_change(self) -> Any:
        return self.connector.on_identity_change

    @asynccontextmanager
    async def open(
        self, path: str, endpoint: Endpoint, deadline: float, kind: type[Upstream]
    ) -> AsyncIterator[Upstream]:
        self.tries.append(time.monotonic())
        try:
            async with self.connector.open(path, endpoint, deadline, kind) as upstream:
                yield upstream
        except UpstreamError as error:
            if error.status is Status.RESOURCE_EXHAUSTED:
                self.exhausted.append(time.monotonic())
            raise


async def test_thirty_hosts_join_an_istiod_that_takes_few_at_a_time(
    mesh: Mesh, second: Istiod, paths: Paths, tmp_path: Path
) -> None:
    settings = host_of(mesh, tmp_path)
    settings = replace(
        settings,
        control_plane=replace(settings.control_plane, addresses=tuple(second.addresses)),
    )
    plane, token = settings.control_plane, mesh.token("api")
    signer = CertificateClient(plane, cluster_id=mesh.cluster_id, lifetime_seconds=600)
    csr = new_csr(new_key(), str(settings.spiffe_id))

    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)

        async def join(number: int) -> Counting:
            await signer.sign(csr, plane.endpoints, token=token)
            counting = Counting(
                Connector(plane, plane.endpoints, host.identity, cluster_id=mesh.cluster_id)
            )
            joined = asyncio.Event()

            async def tell(news: News) -> None:
                if isinstance(news, Opened):
                    news.upstream.send(first_request(as_host(settings, number)))
                elif isinstance(news, Received):
                    joined.set()

            following = asyncio.create_task(
                follow(counting, tell, first_seconds=30, clock=SystemClock())  # type: ignore[arg-type]
            )
            streams.append(following)
            await joined.wait()
            return counting

        streams: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(60):
                joins = await asyncio.gather(*(join(number) for number in range(30)))
        finally:
            for stream in streams:
                stream.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*streams)
    assert sum(len(each.exhausted) for each in joins) > 0  # or nothing was shown
    assert sum(len(each.tries) for each in joins) < 30 * 5
    waits = [
        again - told
        for each in joins
        for told, again in zip(each.exhausted, each.tries[1:], strict=False)
    ]
    assert min(waits) > 0.45
    assert len({round(wait, 1) for wait in waits}) > 3  # not all together again
