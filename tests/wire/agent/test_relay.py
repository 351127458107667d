# SPDX-License-Identifier: Apache-2.0
"""The relay between a real Envoy and a real control plane, on a way that the test obstructs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from grpclib.client import Channel

from lab.cluster import ApiServer, Istiod
from mesh_agent.envoy.node import node
from mesh_agent.health.settings import HealthSettings, ReadinessProbe, TcpSocket
from mesh_agent.health.state import HealthReport
from mesh_agent.settings import AgentSettings, Paths
from mesh_core.wire import messages, rpc, types
from tests.wire.agent.support.host import Host, running_host
from tests.wire.agent.support.link import Link, linked
from tests.wire.agent.support.meshes import (
    Mesh,
    cluster_in,
    group,
    name_in,
    resilience,
    service,
    through,
)
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.refused import COMPLAINT, NO_NAME, header_needed
from tests.wire.agent.support.wait import until

pytestmark = [pytest.mark.needs_envoy, pytest.mark.timeout(180)]

StartEnvoy: TypeAlias = Callable[..., AbstractAsyncContextManager[Envoy]]

KINDS = {"clusters": types.CLUSTER, "listeners": types.LISTENER, "endpoints": types.ENDPOINT}
SLACK = 2.0  # seconds that a busy machine may add to Envoy's start; it is 30 that it must not wait


@pytest.fixture
def start_envoy(
    envoy_binary: Path, settings: AgentSettings, paths: Paths, tmp_path: Path
) -> StartEnvoy:
    return lambda its=settings: running_envoy(envoy_binary, its, paths, tmp_path, alone=True)


@pytest.fixture
async def link(mesh: Mesh) -> AsyncIterator[Link]:
    async with linked(mesh.address) as found:
        yield found


@asynccontextmanager
async def configured(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> AsyncIterator[tuple[Host, Envoy]]:
    """A host whose Envoy has all that the control plane told."""
    async with running_host(settings, paths) as host, start_envoy(settings) as envoy:
        await until(envoy.admin.live, 15)
        await until(lambda: has(envoy, "clusters", cluster_in(mesh), "inbound|8080||"), 30)
        await until(lambda: up_to_date(host, envoy))
        yield host, envoy


async def has(envoy: Envoy, kind: str, *names: str) -> bool:
    return set(names) <= (await envoy.names(kind)).keys()


async def up_to_date(host: Host, envoy: Envoy) -> bool:
    """Whether what is in force is what was told."""
    for kind, type_url in KINDS.items():
        names, told = await envoy.names(kind), host.conversation.versions(type_url)
        if kind == "endpoints":  # Envoy tells also those that clusters bring
            names = dict.fromkeys(names.keys() & told.keys(), "")
        if names.keys() != told.keys() or host.held()[types.short(type_url)] != len(told):
            return False
        # A listener of which only filter chains changed keeps its former version.
        if kind == "clusters" and names != told:
            return False
    return True


async def in_force(envoy: Envoy) -> list[dict[str, str]]:
    return [await envoy.contents(kind) for kind in ("clusters", "listeners")]


def probed(settings: AgentSettings) -> AgentSettings:
    """The same host; it counts as healthy only when it says so."""
    probe = ReadinessProbe(tcp_socket=TcpSocket(port=8080))
    return replace(settings, health=HealthSettings(probe=probe))


async def test_configuration_names_and_health_pass(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    settings = probed(settings)
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        assert await has(envoy, "listeners", "virtualInbound", "virtualOutbound")
        (address,) = settings.workload.addresses
        client = host.conversation
        assert client.requests[0].node.id == (
            f"sidecar~{address}~api-1.{mesh.namespace}~{mesh.namespace}.svc.cluster.local"
        )
        assert all(not request.HasField("node") for request in client.requests[1:])
        await until(lambda: len(client.of(types.NAME_TABLE)) >= 2)
        asked, acknowledged = client.of(types.NAME_TABLE)[:2]
        assert asked.response_nonce == ""
        assert acknowledged.response_nonce != ""
        assert not acknowledged.HasField("error_detail")
        assert name_in(mesh) in messages.NameTable.FromString(host.tables[-1]).table
        status = host.relay.record.status
        assert (status.connected, status.source) == (True, "live")
        assert status.address == mesh.address
        # Istiod loses what comes before the first request for listeners.
        order = [types.short(request.type_url) for request in client.requests]
        assert order.index("NameTable") > order.index("Listener")
        assert client.of(types.HEALTH_INFORMATION) == []
        for count, report in enumerate((HealthReport(False, "502"), HealthReport(True)), start=1):
            host.reports.append(report)
            host.relay.report_health()

            async def told(expected: bool = report.healthy) -> bool:
                return (await mesh.entries()).get(address) is expected

            await until(told, 15)
            assert len(client.of(types.HEALTH_INFORMATION)) == count
        ill, well = client.of(types.HEALTH_INFORMATION)
        assert ill.error_detail.message == "502"
        assert not well.HasField("error_detail")


async def test_health_is_told_when_envoy_has_its_listeners(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    settings = probed(settings)
    async with running_host(settings, paths) as host:
        host.reports.append(HealthReport(True))
        async with start_envoy(settings):

            async def told() -> bool:
                return (await mesh.entries()).get(settings.workload.addresses[0]) is True

            await until(told, 30)
            client = host.connector.conversations[0]
            requests = client.requests
            before = requests[: requests.index(client.of(types.HEALTH_INFORMATION)[0])]
            accepted = [r for r in before if r.type_url == types.LISTENER and r.response_nonce]
            assert accepted


async def test_a_control_plane_that_comes_back_continues_where_envoy_is(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    mesh.apply(service("brief"))
    api, brief = cluster_in(mesh), cluster_in(mesh, "brief")
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        await until(lambda: has(envoy, "clusters", brief), 15)
        await until(lambda: up_to_date(host, envoy))
        host.reports.append(HealthReport(True))
        before = {each: host.conversation.versions(each) for each in KINDS.values()}
        await mesh.stop()
        await until(lambda: not host.relay.record.status.connected)
        assert host.relay.record.status.source == "cache"
        clusters, listeners = await in_force(envoy)
        assert {api, brief} <= clusters.keys()
        mesh.apply(resilience("api", 7), service("more"))
        mesh.remove("Service", "brief")
        await mesh.start()
        await until(lambda: changed(mesh, envoy, clusters), 40)
        again = host.conversation
        for type_url, held in ((types.CLUSTER, clusters), (types.LISTENER, listeners)):
            (asked,) = again.of(type_url)[:1]
            assert asked.initial_resource_versions.keys() == held.keys()
            assert asked.initial_resource_versions == before[type_url]
        assert again.told(types.CLUSTER)[0][1] == [brief]
        if mesh.kind == "embedded":  # istiod sends again what did not change
            ours = ["inbound|8080||", api, cluster_in(mesh, "more")]
            assert again.told(types.CLUSTER) == [(ours, [brief])]
            # Unchanged listeners were claimed; an empty answer is all that it took.
            await until(lambda: again.told(types.LISTENER) == [([], [])])
        assert host.relay.streams == 1  # of Envoy: it noticed nothing
        await until(lambda: again.of(types.HEALTH_INFORMATION))
        await until(lambda: again.of(types.NAME_TABLE))
        assert host.relay.record.status.source == "live"
        assert host.relay.record.refusals == ()
        assert settings.workload.addresses[0] in await mesh.entries()


async def changed(mesh: Mesh, envoy: Envoy, clusters: dict[str, str]) -> bool:
    """Whether Envoy has the other ``api``, the new ``more``, and ``brief`` no longer."""
    names = await envoy.contents("clusters")
    api, brief, more = (cluster_in(mesh, name) for name in ("api", "brief", "more"))
    return {api, more} <= names.keys() and brief not in names and names[api] != clusters[api]


async def test_without_control_plane_envoy_starts_from_the_last_good_configuration(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    mesh.apply(service("brief"))
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        await until(lambda: has(envoy, "clusters", cluster_in(mesh, "brief")), 15)
        await until(lambda: up_to_date(host, envoy))
        await mesh.stop()
        await until(lambda: not host.relay.record.status.connected)
        clusters, listeners = await in_force(envoy)
        endpoints = await envoy.names("endpoints")
    async with running_host(settings, paths) as host:
        began = time.monotonic()
        async with start_envoy() as envoy:
            await until(envoy.admin.live)
            assert time.monotonic() - began < 1.5 + SLACK
            assert await in_force(envoy) == [clusters, listeners]
            assert set(await envoy.names("endpoints")) == endpoints.keys()
            assert host.identity.valid
            assert host.relay.record.status.source == "cache"
            assert host.relay.record.refusals == ()
            # Back again, with a change and a removal: Envoy follows on the same stream.
            mesh.apply(resilience("api", 7), service("more"))
            mesh.remove("Service", "brief")
            await mesh.start()
            await until(lambda: changed(mesh, envoy, clusters), 40)
            assert host.relay.streams == 1


async def test_a_control_plane_that_says_nothing_is_not_waited_for(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy, link: Link
) -> None:
    settings = through(link.address, settings)
    async with configured(mesh, settings, paths, start_envoy) as (_, envoy):
        names = await in_force(envoy)
    link.hold()
    async with running_host(settings, paths) as host:
        began = time.monotonic()
        async with start_envoy() as envoy:
            await until(envoy.admin.live)
            assert time.monotonic() - began < 2.5 + SLACK
            assert link.held  # it was asked
            assert [each.keys() for each in await in_force(envoy)] == [
                each.keys() for each in names
            ]
            assert "no answer in time" in str(host.relay.record.status.last_error)


async def test_a_new_host_waits_patiently_for_a_slow_control_plane(
    settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy, link: Link
) -> None:
    async with running_host(through(link.address, settings), paths) as host:
        await until(lambda: host.identity.valid)
        before = link.connections
        link.hold()
        async with start_envoy() as envoy:
            await until(
                lambda: host.connector.conversations and host.conversation.of(types.CLUSTER)
            )
            await asyncio.sleep(1.2)  # longer than one with a last good configuration waits
            assert not await envoy.admin.live()
            link.release()
            await until(envoy.admin.live, 15)
            assert link.connections == before + 1
            assert len(host.connector.conversations) == 1
            assert host.relay.record.counts.connection_failures == 0


@pytest.fixture(scope="module")
def busy(
    api_server: ApiServer, istiod: Istiod, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Istiod]:
    """Another istiod of the same cluster and root. It takes a new stream every five seconds."""
    with Istiod(
        api_server,
        tmp_path_factory.mktemp("istiod-busy"),
        name="istiod-busy",
        root=istiod.root,
        environment={"PILOT_MAX_REQUESTS_PER_SECOND": "0.2"},
    ) as server:
        yield server


async def take_a_stream(istiod: Istiod, settings: AgentSettings, paths: Paths) -> None:
    """Have an istiod take one; one that takes few has none for others then."""
    host, _, port = istiod.plain_address.rpartition(":")
    channel = Channel(host, int(port), codec=rpc.RawCodec())
    async with rpc.open_stream(channel, types.ADS_DELTA) as stream:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=types.CLUSTER)
        json_format.ParseDict(node(settings, has_ipv6=False), request.node)
        del request.node.metadata.fields["AUTO_REGISTER_GROUP"]
        await stream.send_message(request.SerializeToString())
        assert await stream.recv_message()
        await stream.cancel()
    channel.close()


async def patience_is_shown(host: Host, envoy: Envoy, error: str) -> None:
    """Wait for a second refusal, and see that the third try is not made as fast as it goes."""
    await until(lambda: error in str(host.relay.record.status.last_error), 15)
    before = host.connector.tries
    await until(lambda: host.connector.tries > before, 15)
    assert error in str(host.relay.record.status.last_error)
    tries = host.connector.tries
    await asyncio.sleep(0.3)
    assert host.connector.tries <= tries + 1
    assert not await envoy.admin.live()


async def test_a_group_that_does_not_exist_is_named_and_waited_for(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    settings = replace(settings, workload=replace(settings.workload, group="nogroup"))
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        async with start_envoy(settings) as envoy:
            error = f"WorkloadGroup {mesh.namespace}/nogroup"
            await patience_is_shown(host, envoy, error)
            assert "answered FAILED_PRECONDITION: " in str(host.relay.record.status.last_error)
            mesh.apply(group("nogroup", "api"))
            await until(envoy.admin.live, 40)
            assert host.relay.streams == 1


@pytest.mark.needs_tools
@pytest.mark.parametrize("mesh", ["istiod"], indirect=True)
async def test_an_istiod_with_too_much_to_do_is_met_with_patience(
    busy: Istiod, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    settings = through(busy.addresses[0], settings)
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        await take_a_stream(busy, settings, paths)
        async with start_envoy(settings) as envoy:
            error = "answered RESOURCE_EXHAUSTED: request rate limit exceeded"
            await patience_is_shown(host, envoy, error)
            await until(envoy.admin.live, 40)
            assert host.relay.streams == 1


async def test_what_envoy_refuses_is_named_passed_on_and_not_kept(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        before = (await envoy.contents("listeners"))["virtualInbound"]
        mesh.apply(header_needed(NO_NAME), service("more", ("tcp", 70, 7070)))
        await until(lambda: host.relay.record.refusals, 20)
        (refusal,) = host.relay.record.refusals
        assert (refusal.type_url, refusal.resource) == (types.LISTENER, "virtualInbound")
        assert COMPLAINT in refusal.message
        client = host.conversation
        await until(lambda: any(r.HasField("error_detail") for r in client.of(types.LISTENER)))
        assert host.relay.record.counts.refusals["Listener"] >= 1
        # Envoy takes the good part, without telling its version.
        await until(lambda: listens(mesh, host, envoy), 15)
        assert await envoy.admin.live()  # with the listener that it had
        clusters, listeners = await in_force(envoy)
        assert listeners["virtualInbound"] == before
        await mesh.stop()
        await until(lambda: not host.relay.record.status.connected)
    # What was good in the refused update is kept for the next start, the rest is not.
    async with running_host(settings, paths) as host, start_envoy() as envoy:
        await until(envoy.admin.live)
        names = await in_force(envoy)
        assert [each.keys() for each in names] == [clusters.keys(), listeners.keys()]
        assert names[1]["virtualInbound"] == before
        assert host.relay.record.refusals == ()
        mesh.apply(header_needed("x-good"))
        await mesh.start()
        await until(lambda: up_to_date_with_other_inbound(host, envoy, before), 40)
        assert host.relay.record.refusals == ()


async def listens(mesh: Mesh, host: Host, envoy: Envoy) -> bool:
    """Whether Envoy has the listener of the Service ``more``."""
    name = name_in(mesh, "more")
    table = messages.NameTable.FromString(host.tables[-1]).table
    return name in table and await has(envoy, "listeners", f"{table[name].ips[0]}_70")


async def up_to_date_with_other_inbound(host: Host, envoy: Envoy, before: str) -> bool:
    if not host.relay.record.status.connected or not await up_to_date(host, envoy):
        return False
    return (await envoy.contents("listeners"))["virtualInbound"] != before


async def test_an_unreadable_response_does_no_harm(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        before = await envoy.contents("clusters")
        host.conversation.interjections.append(b"\xff\xff nonsense")
        mesh.apply(resilience("api", 7))

        async def follows() -> bool:
            names = await envoy.contents("clusters")
            return names[cluster_in(mesh)] != before[cluster_in(mesh)]

        await until(follows, 15)
        assert not host.conversation.interjections
        assert before.keys() <= (await envoy.names("clusters")).keys()
        assert host.relay.streams == 1
        assert len(host.connector.conversations) == 1


async def test_a_new_stream_of_envoy_takes_over(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy, link: Link
) -> None:
    settings = through(link.address, settings)
    async with configured(mesh, settings, paths, start_envoy) as (host, old):
        old.process.kill()  # its stream may end later than the new one begins
        async with start_envoy() as new:
            await until(new.admin.live)
            assert host.relay.streams == 2
            await until(lambda: link.open == 1)
            assert [each.open for each in host.connector.conversations][-1]


async def test_a_connection_that_is_cut_is_made_again(
    mesh: Mesh, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy, link: Link
) -> None:
    settings = through(link.address, settings)
    async with configured(mesh, settings, paths, start_envoy) as (host, envoy):
        link.cut()
        await until(lambda: len(host.connector.conversations) == 2)
        mesh.apply(service("more"))
        await until(lambda: has(envoy, "clusters", cluster_in(mesh, "more")), 15)
        assert host.relay.streams == 1
        assert host.relay.record.refusals == ()
