# SPDX-License-Identifier: Apache-2.0
"""The relay between a real Envoy and a control plane that misbehaves on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.health.state import HealthReport
from mesh_agent.settings import AgentSettings, Paths
from mesh_core.wire import messages, types
from tests.wire.agent.support.host import Host, running_host
from tests.wire.agent.support.plane import Plane, until
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.resources import bad_listener, cluster, endpoint, listener

pytestmark = pytest.mark.needs_envoy

StartEnvoy: TypeAlias = Callable[[], AbstractAsyncContextManager[Envoy]]


def name_table(*hosts: str) -> object:
    table = messages.NameTable()
    for host in hosts:
        table.table[host].ips.append("240.240.0.1")
    return table


@pytest.fixture
def plane_with_resources(plane: Plane) -> Plane:
    for name in ("a", "b"):
        plane.put(types.CLUSTER, name, "1", cluster(name))
        plane.put(types.ENDPOINT, name, "1", endpoint(name, 9))
    plane.put(types.LISTENER, "l", "1", listener("l", 0, "a"))
    plane.put(types.NAME_TABLE, "", "1", name_table("api.shop.svc.cluster.local"))
    return plane


@pytest.fixture
def start_envoy(
    envoy_binary: Path, settings: AgentSettings, paths: Paths, tmp_path: Path
) -> StartEnvoy:
    return lambda: running_envoy(envoy_binary, settings, paths, tmp_path)


@asynccontextmanager
async def configured(
    settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> AsyncIterator[tuple[Host, Envoy]]:
    """A host whose Envoy has all of its configuration."""
    async with running_host(settings, paths) as host, start_envoy() as envoy:
        await until(envoy.admin.live)
        await until(
            lambda: host.held() == {"Cluster": 2, "ClusterLoadAssignment": 2, "Listener": 1}
        )
        yield host, envoy


async def has(envoy: Envoy, kind: str, expected: dict[str, str]) -> None:
    async def same() -> bool:
        return await envoy.names(kind) == expected

    await until(same)


async def test_configuration_names_and_health_pass(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy) as (host, envoy):
        assert await envoy.names("clusters") == {"a": "1", "b": "1"}
        assert await envoy.names("listeners") == {"l": "1"}
        client = plane.client
        assert client.requests[0].node.id == "sidecar~127.0.0.1~api-1.shop~shop.svc.cluster.local"
        assert all(not request.HasField("node") for request in client.requests[1:])
        await until(lambda: len(client.of(types.NAME_TABLE)) == 2)
        asked, acknowledged = client.of(types.NAME_TABLE)
        assert (asked.response_nonce, acknowledged.response_nonce) != ("", "")
        (table,) = host.tables
        assert "api.shop.svc.cluster.local" in messages.NameTable.FromString(table).table
        status = host.relay.record.status
        assert (status.connected, status.source) == (True, "live")
        assert status.address == f"127.0.0.1:{plane.port}"
        # Istiod loses what comes before the first request for listeners.
        order = [types.short(request.type_url) for request in client.requests]
        assert order.index("NameTable") > order.index("Listener")
        assert client.of(types.HEALTH_INFORMATION) == []
        for report in (HealthReport(False, "502"), HealthReport(True)):
            host.reports.append(report)
            host.relay.report_health()
        await until(lambda: len(client.of(types.HEALTH_INFORMATION)) == 2)
        ill, well = client.of(types.HEALTH_INFORMATION)
        assert ill.error_detail.message == "502"
        assert not well.HasField("error_detail")


async def test_health_is_told_when_envoy_has_its_listeners(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    async with running_host(settings, paths) as host:
        host.reports.append(HealthReport(True))
        async with start_envoy():
            streams = plane_with_resources
            await until(lambda: streams.clients and streams.client.of(types.HEALTH_INFORMATION))
            requests = streams.client.requests
            before = requests[: requests.index(streams.client.of(types.HEALTH_INFORMATION)[0])]
            accepted = [r for r in before if r.type_url == types.LISTENER and r.response_nonce]
            assert accepted


async def test_a_control_plane_that_comes_back_continues_where_envoy_is(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy) as (host, envoy):
        host.reports.append(HealthReport(True))
        await plane.stop()
        await until(lambda: not host.relay.record.status.connected)
        assert host.relay.record.status.source == "cache"
        assert await envoy.names("clusters") == {"a": "1", "b": "1"}
        plane.put(types.CLUSTER, "a", "2", cluster("a", "2s"))
        del plane.resources[types.CLUSTER]["b"]
        await plane.start()
        await has(envoy, "clusters", {"a": "2"})
        assert plane.client.sent_of(types.CLUSTER) == [(["a"], ["b"])]
        # The unchanged listener was claimed; an empty answer is all that it took.
        await until(lambda: plane.client.sent_of(types.LISTENER) == [([], [])])
        assert host.relay.streams == 1  # of Envoy: it noticed nothing
        await until(lambda: plane.client.of(types.HEALTH_INFORMATION))
        await until(lambda: plane.client.of(types.NAME_TABLE))
        assert host.relay.record.status.source == "live"


async def test_without_control_plane_envoy_starts_from_the_last_good_configuration(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy):
        pass
    await plane.stop()
    async with running_host(settings, paths) as host:
        began = time.monotonic()
        async with start_envoy() as envoy:
            await until(envoy.admin.live)
            assert time.monotonic() - began < 1.5
            assert await envoy.names("clusters") == {"a": "1", "b": "1"}
            assert await envoy.names("listeners") == {"l": "1"}
            assert set(await envoy.names("endpoints")) == {"a", "b"}
            assert host.relay.record.status.source == "cache"
            # Back again, with a change and a removal: Envoy follows on the same stream.
            plane.put(types.CLUSTER, "a", "2", cluster("a", "2s"))
            del plane.resources[types.CLUSTER]["b"]
            await plane.start()
            await has(envoy, "clusters", {"a": "2"})
            assert host.relay.streams == 1


async def test_a_control_plane_that_says_nothing_is_not_waited_for(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy):
        pass
    plane.silent = True
    async with running_host(settings, paths) as host:
        began = time.monotonic()
        async with start_envoy() as envoy:
            await until(envoy.admin.live)
            assert time.monotonic() - began < 2.5
            assert await envoy.names("clusters") == {"a": "1", "b": "1"}
            assert "no answer in time" in str(host.relay.record.status.last_error)


async def test_a_new_host_waits_patiently_for_a_slow_control_plane(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        plane.silent = True
        await _slow_start(plane, host, start_envoy)


async def _slow_start(plane: Plane, host: Host, start_envoy: StartEnvoy) -> None:
    async with start_envoy() as envoy:
        await until(lambda: plane.clients and plane.client.of(types.CLUSTER))
        await asyncio.sleep(1.2)  # longer than one with a last good configuration waits
        plane.silent = False
        await plane._asked(plane.client, plane.client.of(types.CLUSTER)[0])
        await until(envoy.admin.live)
        assert plane.opened == 1
        assert host.relay.record.counts.connection_failures == 0


@pytest.mark.parametrize("status", [Status.RESOURCE_EXHAUSTED, Status.UNAVAILABLE])
async def test_a_refusal_is_met_with_patience(
    status: Status,
    plane_with_resources: Plane,
    settings: AgentSettings,
    paths: Paths,
    start_envoy: StartEnvoy,
) -> None:
    plane = plane_with_resources
    plane.refuse = GRPCError(status, "request rate limit exceeded")
    async with running_host(settings, paths) as host, start_envoy() as envoy:
        await until(lambda: plane.opened >= 2)
        error = str(host.relay.record.status.last_error)
        assert f"answered {status.name}: request rate limit exceeded" in error
        tries = plane.opened
        await asyncio.sleep(0.3)
        assert plane.opened <= tries + 1  # and not as fast as it can
        plane.refuse = None
        await until(envoy.admin.live)
        assert host.relay.streams == 1


async def test_what_envoy_refuses_is_named_passed_on_and_not_kept(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy) as (host, envoy):
        plane.put(types.LISTENER, "bad", "1", bad_listener("bad"))
        plane.put(types.LISTENER, "l", "2", listener("l", 0, "b"))
        await plane.push()
        await until(lambda: host.relay.record.refusals)
        (refusal,) = host.relay.record.refusals
        assert (refusal.type_url, refusal.resource) == (types.LISTENER, "bad")
        assert "Didn't find a registered implementation" in refusal.message
        await until(lambda: plane.client.of(types.LISTENER)[-1].HasField("error_detail"))
        assert host.relay.record.counts.refusals == {"Listener": 1}
        # Envoy takes the good part, without telling its version.
        assert await envoy.target_of("l") == "b"
    # What was good in the refused update is kept for the next start, the rest is not.
    await plane.stop()
    async with running_host(settings, paths) as host, start_envoy() as envoy:
        await until(envoy.admin.live)
        assert await envoy.names("listeners") == {"l": "2"}
        assert host.relay.record.refusals == ()
        plane.put(types.LISTENER, "bad", "2", listener("bad", 0, "a"))
        await plane.start()
        await has(envoy, "listeners", {"l": "2", "bad": "2"})


async def test_an_unreadable_response_does_no_harm(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    plane = plane_with_resources
    async with configured(settings, paths, start_envoy) as (host, envoy):
        await plane.client.stream.send_message(b"\xff\xff nonsense")
        plane.put(types.CLUSTER, "a", "2", cluster("a", "2s"))
        await plane.push()
        await has(envoy, "clusters", {"a": "2", "b": "1"})
        assert host.relay.streams == 1


async def test_a_new_stream_of_envoy_takes_over(
    plane_with_resources: Plane, settings: AgentSettings, paths: Paths, start_envoy: StartEnvoy
) -> None:
    async with configured(settings, paths, start_envoy) as (host, old):
        old.process.kill()  # its stream may end later than the new one begins
        async with start_envoy() as new:
            await until(new.admin.live)
            assert host.relay.streams == 2
            await until(lambda: len(plane_with_resources.clients) == 1)
