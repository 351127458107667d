# SPDX-License-Identifier: Apache-2.0
"""The agent with real control planes, the embedded one and istiod, and a real Envoy."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_agent.envoy.node import node
from mesh_agent.health.settings import HealthSettings, ReadinessProbe, TcpSocket
from mesh_agent.health.state import HealthReport
from mesh_agent.identity.model import IdentityState
from mesh_agent.settings import AgentSettings, Paths
from mesh_core import http
from mesh_core.wire import messages, rpc, types
from tests.wire.agent.support.host import running_host, without_delta
from tests.wire.agent.support.meshes import (
    EmbeddedMesh,
    Mesh,
    cluster_in,
    host_of,
    name_in,
    service,
)
from tests.wire.agent.support.process import unit
from tests.wire.agent.support.proxy import running_envoy
from tests.wire.agent.support.wait import until

pytestmark = pytest.mark.timeout(180)


@pytest.mark.needs_envoy
async def test_a_host_joins_serves_and_leaves(
    mesh: Mesh, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    settings = host_of(mesh, tmp_path, ports=("http",))
    probe = ReadinessProbe(tcp_socket=TcpSocket(port=8080))
    settings = replace(settings, health=HealthSettings(probe=probe))
    address = settings.workload.addresses[0]
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 15)
            assert cluster_in(mesh) in await envoy.names("clusters")
            assert "virtualInbound" in await envoy.names("listeners")
            await until(lambda: _knows(host.tables, name_in(mesh)))
            assert host.relay.record.refusals == ()
            assert not settings.identity.token.exists()
            assert (await mesh.entries())[address] is not True  # nothing was reported yet
            for healthy in (True, False):
                host.reports.append(HealthReport(healthy, "" if healthy else "502"))
                host.relay.report_health()

                async def told(expected: bool = healthy) -> bool:
                    return (await mesh.entries()).get(address) is expected

                await until(told, 15)
            mesh.apply(service("more"))

            def knows_more() -> bool:
                return name_in(mesh, "more") in str(host.tables[-1])

            await until(knows_more, 15)
            assert host.relay.record.status.source == "live"
            assert host.relay.record.refusals == ()

    async def gone() -> bool:
        return address not in await mesh.entries()

    await until(gone, 15)


@pytest.mark.parametrize("kind", ["expired", "other audience"])
async def test_a_token_that_is_not_taken_is_explained(
    kind: str, mesh: Mesh, paths: Paths, tmp_path: Path
) -> None:
    if kind == "expired":
        token = mesh.token("api", seconds=-60)
    else:
        other = {"embedded": "vault", "istiod": "https://kubernetes.default.svc"}
        token = mesh.token("api", audience=other[mesh.kind])
    said = await _refused(mesh, host_of(mesh, tmp_path, token=token), paths)
    assert token not in said
    assert "sent the cluster ID " in said
    if mesh.kind == "istiod":
        audience = "istio-ca" if kind == "expired" else other[mesh.kind]
        assert f"a token for the audience {audience} and the account system:serviceaccount:" in said


async def test_a_token_of_the_embedded_control_plane_serves_once(
    paths: Paths, tmp_path: Path
) -> None:
    mesh = EmbeddedMesh(tmp_path / "control")
    await mesh.start()
    token = mesh.token("api")
    settings = host_of(mesh, tmp_path, token=token)
    async with running_host(settings, replace(paths, state=tmp_path / "first")) as host:
        await until(lambda: host.identity.valid)
    await _refused(mesh, host_of(mesh, tmp_path, token=token), paths)
    await mesh.stop()


async def _refused(mesh: Mesh, settings: AgentSettings, paths: Paths) -> str:
    """The token is refused and a new one is asked for, taken without a restart. What is said."""
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.status().last_error)
        status = host.identity.status()
        assert "answered UNAUTHENTICATED" in str(status.last_error)
        assert "deliver a new join token with site.yml or rejoin.yml" in str(status.last_error)
        assert status.needs_token
        settings.identity.token.write_text(mesh.token("api"))
        await until(lambda: host.identity.valid, 15)
        assert not host.identity.status().needs_token
        return str(status.last_error)


@pytest.mark.parametrize("token", ["absent", "expired"])
async def test_a_host_that_was_off_for_too_long_says_so_and_comes_back(
    token: str, mesh: Mesh, paths: Paths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = host_of(mesh, tmp_path, lifetime=3)
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        ends = host.identity.status().not_after
    assert ends

    async def over() -> bool:
        async with running_host(replace(settings, identity=never), paths) as host:
            return host.identity.status().state is IdentityState.EXPIRED

    never = replace(settings.identity, token=tmp_path / "none")
    await until(over, 15)
    if token == "expired":
        settings.identity.token.write_text(mesh.token("api", seconds=-60))
    caplog.set_level(logging.ERROR)
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.status().last_error)
        status = host.identity.status()
        assert (status.state, status.needs_token) == (IdentityState.EXPIRED, True)
        said = str(status.last_error)
        assert f"the certificate ended at {ends:%Y-%m-%d %H:%M:%S} UTC" in said
        assert "with site.yml or rejoin.yml" in said
        assert ("answered UNAUTHENTICATED" in said) == (token == "expired")
        assert said in caplog.text
        left = host.identity.seconds_left()
        assert left is not None
        assert left < 0
        settings.identity.token.write_text(mesh.token("api"))
        await until(lambda: host.identity.valid, 15)
        assert not host.identity.status().needs_token


@pytest.mark.needs_envoy
async def test_an_envoy_that_asks_for_the_state_of_the_world_gets_it_fitted(
    mesh: Mesh, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    settings = host_of(mesh, tmp_path)
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True, api_type="GRPC")
        async with envoys as envoy:
            await until(envoy.admin.live, 15)
            assert cluster_in(mesh) in await envoy.names("clusters")
            await until(lambda: host.tables)
            assert host.relay.record.refusals == ()


@pytest.mark.needs_envoy
async def test_a_control_plane_without_delta_serves_an_envoy_with_it(
    mesh: Mesh,
    paths: Paths,
    tmp_path: Path,
    envoy_binary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_delta(monkeypatch)
    settings = host_of(mesh, tmp_path)
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 15)
            await until(lambda: host.tables)
            mesh.apply(service("more"))

            async def has_more() -> bool:
                names = await envoy.names("clusters")
                return {cluster_in(mesh), cluster_in(mesh, "more")} <= names.keys()

            await until(has_more, 15)
            await mesh.stop()
            await until(lambda: not host.relay.record.status.connected)
            await mesh.start()
            await until(lambda: host.relay.record.status.connected, 40)
            await until(has_more)
            assert host.relay.streams == 1
            assert host.relay.record.refusals == ()


@pytest.mark.needs_envoy
@pytest.mark.needs_tools
@pytest.mark.parametrize("mesh", ["istiod"], indirect=True)
async def test_what_envoy_refuses_of_istiods_is_named(
    mesh: Mesh, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    settings = host_of(mesh, tmp_path)
    async with running_host(settings, paths) as host:
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 15)
            mesh.apply(a_filter_that_nobody_has())
            await until(lambda: host.relay.record.refusals, 20)
            (refusal,) = host.relay.record.refusals
            assert (refusal.type_url, refusal.resource) == (types.LISTENER, "virtualInbound")
            assert "Didn't find a registered implementation for 'no.such'" in refusal.message
            assert host.relay.record.counts.refusals["Listener"] >= 1
            assert await envoy.admin.live()  # with the listener that it had
            elsewhere = a_filter_that_nobody_has()
            elsewhere["spec"]["workloadSelector"] = {"labels": {"app": "nobody"}}
            mesh.apply(elsewhere)
            await until(lambda: not host.relay.record.refusals, 20)


def a_filter_that_nobody_has() -> dict[str, Any]:
    typed = {
        "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
        "type_url": "type.googleapis.com/no.such.Filter",
        "value": {},
    }
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "bad"},
        "spec": {
            "configPatches": [
                {
                    "applyTo": "NETWORK_FILTER",
                    "match": {
                        "context": "SIDECAR_INBOUND",
                        "listener": {"name": "virtualInbound"},
                    },
                    "patch": {
                        "operation": "INSERT_FIRST",
                        "value": {"name": "no.such", "typed_config": typed},
                    },
                }
            ]
        },
    }


def _knows(tables: list[bytes], name: str) -> bool:
    """Whether the newest table has the name; a control plane's first one may be without it."""
    return bool(tables) and name in messages.NameTable.FromString(tables[-1]).table


async def test_a_stream_of_the_state_of_the_world_is_carried(
    mesh: Mesh, paths: Paths, tmp_path: Path
) -> None:
    settings = host_of(mesh, tmp_path)
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        host.reports.append(HealthReport(True))
        async with (
            rpc.unix_channel(paths.xds_socket) as channel,
            rpc.open_stream(channel, types.ADS_STREAM) as stream,
        ):
            request = discovery_pb2.DiscoveryRequest(type_url=types.LISTENER)
            json_format.ParseDict(node(settings, has_ipv6=False), request.node)
            await stream.send_message(request.SerializeToString())
            response = discovery_pb2.DiscoveryResponse.FromString(
                await stream.recv_message() or b""
            )
            assert response.type_url == types.LISTENER
            assert len(response.resources) > 1
            await until(lambda: _knows(host.tables, name_in(mesh)))
            refusal = discovery_pb2.DiscoveryRequest(
                type_url=types.LISTENER, response_nonce=response.nonce
            )
            refusal.error_detail.message = "too good to be true"
            await stream.send_message(refusal.SerializeToString())
            await until(lambda: host.relay.record.refusals)
            await stream.cancel()
        await until(lambda: host.relay.record.status.source == "none")
    await mesh.stop()
    async with running_host(settings, paths), rpc.unix_channel(paths.xds_socket) as channel:
        with pytest.raises(GRPCError, match="cannot be reached") as raised:
            async with rpc.open_stream(channel, types.ADS_STREAM) as stream:
                await stream.send_message(request.SerializeToString())
                await stream.recv_message()
        assert raised.value.status is Status.UNAVAILABLE


@pytest.mark.needs_envoy
async def test_the_whole_agent_is_ready_and_tells_of_itself(
    mesh: Mesh, paths: Paths, tmp_path: Path, envoy_binary: Path
) -> None:
    settings = host_of(mesh, tmp_path)
    with unit(settings, paths, tmp_path) as agent:
        await agent.start()
        envoys = running_envoy(envoy_binary, settings, paths, tmp_path, alone=True)
        async with envoys as envoy:
            await until(envoy.admin.live, 15)

            async def ready() -> bool:
                answer = await http.get("/healthz/ready", port=agent.status_port)
                return answer.status == 200

            await until(ready, 15)
            answer = await dns.asyncquery.udp(
                dns.message.make_query(name_in(mesh), "A"),
                "127.0.0.1",
                port=agent.dns_port,
                timeout=10,
            )
            assert str(answer.answer[0][0]).startswith(("10.96.", "240.240."))
            status = await agent.status()
            assert status["identity"]["state"] == "valid"
            assert status["control_plane"]["address"] == mesh.address
            assert status["control_plane"]["source"] == "live"
            assert status["proxy"] == {"ready": True, "nacks": []}
            metrics = (await http.get("/metrics", port=agent.status_port)).body.decode()
            assert "mesh_agent_identity_expired 0\n" in metrics
            assert "mesh_agent_refused_resources 0\n" in metrics
            assert "envoy_server_live" in metrics
            assert await agent.end(signal.SIGTERM) == 0
            assert "Traceback" not in agent.log.read_text()
