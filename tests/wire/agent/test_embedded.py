# SPDX-License-Identifier: Apache-2.0
"""The agent with the embedded control plane and a real Envoy."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.envoy.bootstrap import bootstrap
from mesh_agent.health.state import HealthReport
from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.settings import AgentSettings, Paths, PortSettings, WorkloadSettings
from mesh_core.wire import messages, rpc, types
from tests.wire.agent.support.host import running_host
from tests.wire.agent.support.plane import until
from tests.wire.agent.support.proxy import running_envoy
from tests.wire.control.support import API_CLUSTER, Plane, a_service

NAME = "api.shop.svc.cluster.local"


@pytest.fixture
def embedded(tmp_path: Path) -> Plane:
    directory = tmp_path / "control"
    directory.mkdir()
    return Plane(directory, grace=1.0)


def host_of(plane: Plane, tmp_path: Path, token: str) -> AgentSettings:
    (tmp_path / "token").write_text(token)
    return AgentSettings(
        control_plane=ControlPlaneSettings(
            addresses=(f"127.0.0.1:{plane.port}",),
            root_certificate=plane.settings.state / "ca" / "root-cert.pem",
        ),
        workload=WorkloadSettings(
            name="api-1",
            namespace="shop",
            service_account="api",
            group="api",
            addresses=("10.231.1.21",),
            ports=(PortSettings("http", 8080),),
        ),
        identity=IdentitySettings(token=tmp_path / "token"),
    )


@pytest.mark.needs_envoy
async def test_a_host_joins_serves_and_stays_through_a_restart(
    embedded: Plane, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    async with embedded.running():
        token = embedded.tokens().issue("shop", "api").text
        settings = host_of(embedded, tmp_path, token)
        async with running_host(settings, paths) as host:
            host.reports.append(HealthReport(True))
            envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
            async with envoys as envoy:
                await until(envoy.admin.live)
                assert API_CLUSTER in await envoy.names("clusters")
                assert "virtualInbound" in await envoy.names("listeners")
                await until(lambda: host.tables)
                assert NAME in messages.NameTable.FromString(host.tables[-1]).table
                assert host.relay.record.refusals == ()
                assert not settings.identity.token.exists()
                embedded.write(a_service("more"), "more.yaml")

                def knows_more() -> bool:
                    return "more.shop.svc.cluster.local" in str(host.tables[-1])

                await until(knows_more, 15)
                assert host.relay.record.status.source == "live"


@pytest.mark.needs_envoy
async def test_a_restart_of_the_control_plane_is_not_noticed_by_envoy(
    embedded: Plane, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    async with embedded.running():
        settings = host_of(embedded, tmp_path, embedded.tokens().issue("shop", "api").text)
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            async with embedded.running():
                await until(envoy.admin.live)
            await until(lambda: not host.relay.record.status.connected)
            assert API_CLUSTER in await envoy.names("clusters")
            embedded.write(a_service("more"), "more.yaml")
            async with embedded.running():
                await until(lambda: host.relay.record.status.connected)

                async def has_more() -> bool:
                    names = await envoy.names("clusters")
                    return API_CLUSTER in names and any("more.shop" in name for name in names)

                await until(has_more)
                assert host.relay.streams == 1
                assert host.relay.record.refusals == ()


@pytest.mark.parametrize("kind", ["expired", "other audience", "used"])
async def test_a_token_that_is_not_taken_is_explained(
    kind: str, embedded: Plane, paths: Paths, tmp_path: Path
) -> None:
    async with embedded.running():
        if kind == "other audience":
            token = embedded.tokens(audience="vault").issue("shop", "api").text
        elif kind == "expired":
            token = embedded.tokens().issue("shop", "api", timedelta(seconds=-5)).text
        else:
            token = embedded.tokens().issue("shop", "api").text
            settings = host_of(embedded, tmp_path, token)
            async with running_host(settings, replace(paths, state=tmp_path / "first")) as host:
                await until(lambda: host.identity.valid)
        settings = host_of(embedded, tmp_path, token)
        async with running_host(settings, paths) as host:
            await until(lambda: host.identity.status().last_error)
            status = host.identity.status()
            assert "answered UNAUTHENTICATED" in str(status.last_error)
            assert status.needs_token
            fresh = embedded.tokens().issue("shop", "api").text
            settings.identity.token.write_text(fresh)
            await until(lambda: host.identity.valid)
            assert not host.identity.status().needs_token


@pytest.mark.needs_envoy
async def test_a_group_that_does_not_exist_is_named(
    embedded: Plane, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    async with embedded.running():
        settings = host_of(embedded, tmp_path, embedded.tokens().issue("shop", "api").text)
        settings = replace(settings, workload=replace(settings.workload, group="nogroup"))
        async with running_host(settings, paths) as host:
            envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
            async with envoys as envoy:

                def told() -> bool:
                    return "nogroup" in str(host.relay.record.status.last_error)

                await until(told)
                assert not await envoy.admin.live()


@pytest.mark.needs_envoy
async def test_a_host_comes_back_without_the_control_plane(
    embedded: Plane, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    async with embedded.running():
        settings = host_of(embedded, tmp_path, embedded.tokens().issue("shop", "api").text)
        async with running_host(settings, paths) as host:
            envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
            async with envoys as envoy:
                await until(envoy.admin.live)
                await until(lambda: host.held()["Listener"])
                before = [await envoy.names(kind) for kind in ("clusters", "listeners")]
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 3)
            names = [await envoy.names(kind) for kind in ("clusters", "listeners")]
            assert [set(each) for each in names] == [set(each) for each in before]
            assert host.identity.valid
            assert host.relay.record.status.source == "cache"
            assert host.relay.record.refusals == ()


async def test_a_stream_of_the_state_of_the_world_is_carried(
    embedded: Plane, paths: Paths, tmp_path: Path
) -> None:
    """As an Envoy that is configured for it would open."""
    async with embedded.running():
        settings = host_of(embedded, tmp_path, embedded.tokens().issue("shop", "api").text)
        async with running_host(settings, paths) as host:
            await until(lambda: host.identity.valid)
            host.reports.append(HealthReport(True))
            async with (
                rpc.unix_channel(paths.xds_socket) as channel,
                rpc.open_stream(channel, types.ADS_STREAM) as stream,
            ):
                request = discovery_pb2.DiscoveryRequest(type_url=types.LISTENER)
                json_format.ParseDict(bootstrap(settings, paths)["node"], request.node)
                await stream.send_message(request.SerializeToString())
                response = discovery_pb2.DiscoveryResponse.FromString(
                    await stream.recv_message() or b""
                )
                assert response.type_url == types.LISTENER
                assert len(response.resources) > 1
                await until(lambda: host.tables)
                assert NAME in messages.NameTable.FromString(host.tables[-1]).table
                refusal = discovery_pb2.DiscoveryRequest(
                    type_url=types.LISTENER, response_nonce=response.nonce
                )
                refusal.error_detail.message = "too good to be true"
                await stream.send_message(refusal.SerializeToString())
                await until(lambda: host.relay.record.refusals)
                await stream.cancel()
            await until(lambda: host.relay.record.status.source == "none")
    async with running_host(settings, paths), rpc.unix_channel(paths.xds_socket) as channel:
        with pytest.raises(GRPCError, match="cannot be reached") as raised:
            async with rpc.open_stream(channel, types.ADS_STREAM) as stream:
                await stream.send_message(request.SerializeToString())
                await stream.recv_message()
        assert raised.value.status is Status.UNAVAILABLE
