# SPDX-License-Identifier: Apache-2.0
"""The whole agent as systemd runs it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import pytest

from mesh_agent.settings import AgentSettings, Paths
from mesh_core import http
from tests.wire.agent.support.meshes import Mesh
from tests.wire.agent.support.pair import ADDRESSES, application, calling, two_hosts
from tests.wire.agent.support.process import Unit, unit, write_settings
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.wait import until

pytestmark = pytest.mark.timeout(180)

NAME, ADDRESS, PORT = "echo.mesh.test", "10.96.200.7", 70


@pytest.fixture
def settings(settings: AgentSettings, mesh: Mesh, tmp_path: Path) -> AgentSettings:
    """The host has a root certificate of its own, as it has on a host."""
    root = tmp_path / "root-cert.pem"
    root.write_bytes(mesh.root.read_bytes())
    return replace(settings, control_plane=replace(settings.control_plane, root_certificate=root))


@pytest.fixture
async def agent(settings: AgentSettings, paths: Paths, tmp_path: Path) -> AsyncIterator[Unit]:
    with unit(settings, paths, tmp_path) as found:
        yield found
        if found.process:
            await found.end()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()


async def ask_name(agent: Unit) -> str:
    """Resolve the name as programs do: a datagram, and a few seconds of patience."""
    answer = await dns.asyncquery.udp(
        dns.message.make_query(NAME, "A"), "127.0.0.1", port=agent.dns_port, timeout=10
    )
    return str(answer.answer[0][0])


async def test_it_is_ready_when_it_listens_and_stops_cleanly(
    agent: Unit, mesh: Mesh, settings: AgentSettings
) -> None:
    before = await mesh.issued()
    await agent.start(WATCHDOG_USEC="300000")
    await agent.hear("WATCHDOG=1", "STATUS=certificate valid until")
    status = await agent.status()
    assert status["identity"]["state"] == "valid"
    assert status["ready"] is False
    assert status["lacks"][0].startswith("proxy:")
    assert (await http.get("/healthz/ready", port=agent.status_port)).status == 503
    metrics = (await http.get("/metrics", port=agent.status_port)).body.decode()
    assert "mesh_agent_identity_valid 1\n" in metrics
    assert await agent.end(signal.SIGTERM) == 0
    await agent.hear("STOPPING=1")
    assert "Traceback" not in agent.log.read_text()
    assert await mesh.issued() - before == 1
    assert not settings.identity.token.exists()  # it was the proof


def network(settings: AgentSettings, name: object) -> dict[str, object]:
    """The mesh of the host, with another network."""
    return {**asdict(settings.mesh), "network": name}


async def test_other_settings_are_taken_over_in_the_same_process(
    agent: Unit, settings: AgentSettings
) -> None:
    await agent.start()
    assert agent.process
    process = agent.process
    status = {"address": "127.0.0.1", "port": agent.status_port}

    write_settings(settings, agent.config, status=status, mesh=network(settings, 7))
    process.send_signal(signal.SIGHUP)
    await until(lambda: "not taken over" in agent.log.read_text())
    assert "agent.yaml: mesh.network: expected a string, found 7" in agent.log.read_text()
    assert (await agent.status())["workload"]["network"] == "network-1"

    write_settings(settings, agent.config, status=status, mesh=network(settings, "network-9"))
    process.send_signal(signal.SIGHUP)
    await agent.hear("RELOADING=1")
    await agent.hear("READY=1")
    assert process.returncode is None
    assert (await agent.status())["workload"]["network"] == "network-9"
    assert "Traceback" not in agent.log.read_text()


def children(process: int) -> int:
    """How many children a process has, also such that have ended and that nobody buried."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found += int(path.read_text().rpartition(")")[2].split()[1]) == process
    return found


async def test_other_settings_leave_no_process_behind(agent: Unit, settings: AgentSettings) -> None:
    settings.identity.token.unlink()  # what makes keys was started ahead, and gets no order
    await agent.start()
    assert agent.process
    assert children(agent.process.pid) == 1
    for name in ("network-8", "network-9"):
        status = {"address": "127.0.0.1", "port": agent.status_port}
        write_settings(settings, agent.config, status=status, mesh=network(settings, name))
        agent.process.send_signal(signal.SIGHUP)
        await agent.hear("RELOADING=1")
        await agent.hear("READY=1")
    assert children(agent.process.pid) == 1


async def test_what_keeps_it_from_starting_is_one_line(
    agent: Unit, settings: AgentSettings
) -> None:
    settings.control_plane.root_certificate.write_text("nothing")
    with pytest.raises(RuntimeError, match="the agent ended"):
        await agent.start()
    assert agent.process
    assert await agent.process.wait() == 1
    (line,) = agent.log.read_text().splitlines()
    assert line.startswith("mesh-agent: control_plane.root_certificate: expected PEM certificates")


async def test_a_taken_status_port_takes_nothing_else(agent: Unit, settings: AgentSettings) -> None:
    other = await asyncio.start_server(echo, "127.0.0.1", agent.status_port)
    await agent.start()
    await until(lambda: not settings.identity.token.exists())  # it has its certificate
    expected = f"status: cannot listen on 127.0.0.1:{agent.status_port}: Address already in use"
    await until(lambda: expected in agent.log.read_text())
    other.close()
    await other.wait_closed()

    async def answers() -> bool:
        try:
            return bool(await agent.status())
        except OSError:
            return False

    await until(answers)
    assert "Traceback" not in agent.log.read_text()


def echoes(endpoint: str) -> dict[str, Any]:
    """What is called: a name, an address, a port, and who answers."""
    return outside("echo", NAME, endpoint, addresses=[ADDRESS])


def outside(name: str, host: str, endpoint: str, **more: Any) -> dict[str, Any]:
    """A ServiceEntry of one address outside the mesh."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name},
        "spec": {
            "hosts": [host],
            "location": "MESH_EXTERNAL",
            "resolution": "STATIC",
            "ports": [{"name": "tcp", "number": PORT, "protocol": "TCP", "targetPort": 7070}],
            "endpoints": [{"address": endpoint}],
            **more,
        },
    }


MANY = 20


def moved(number: int) -> list[dict[str, Any]]:
    """Services under names that nobody had before."""
    return [
        outside(f"moving-{each}", f"at-{number}-{each}.mesh.test", "10.231.7.7")
        for each in range(MANY)
    ]


def target(host: str) -> str:
    return f"outbound|{PORT}||{host}"


@pytest.mark.needs_root
@pytest.mark.needs_envoy
async def test_killed_again_and_again_under_load_nothing_is_lost(
    mesh: Mesh, paths: Paths, settings: AgentSettings, envoy_binary: Path, tmp_path: Path
) -> None:
    mesh.apply(echoes(ADDRESSES[0]), *moved(0))
    before = await mesh.issued()
    with two_hosts() as (here, _), unit(settings, paths, tmp_path) as agent:
        async with (
            application(here),
            running_envoy(envoy_binary, settings, paths, tmp_path, namespace=here) as envoy,
        ):
            await agent.start()
            try:
                await _killed_under_load(agent, mesh, envoy, here)
                status = await agent.status()
                assert status["ready"], status["lacks"]
                assert status["control_plane"]["source"] == "live"
                assert await mesh.issued() - before == 1
                assert await agent.end(signal.SIGTERM) == 0
            finally:
                await agent.end()
            assert "Traceback" not in agent.log.read_text()
            assert f"{ADDRESS}_{PORT}" in await envoy.names("listeners")


async def _killed_under_load(agent: Unit, mesh: Mesh, envoy: Envoy, here: str) -> None:
    stop = asyncio.Event()
    done = {"names": 0, "pushes": 0}

    async def resolve() -> None:
        while not stop.is_set():
            assert await ask_name(agent) == ADDRESS
            done["names"] += 1

    async def push() -> None:
        while not stop.is_set():
            number = done["pushes"] // MANY + 1
            await asyncio.to_thread(mesh.apply, *moved(number))
            done["pushes"] += MANY
            await asyncio.sleep(0.05)  # the embedded control plane and the callers share the loop

    async def latest() -> bool:
        number = done["pushes"] // MANY
        wanted = {target(f"at-{number}-{each}.mesh.test") for each in range(MANY)}
        names = await envoy.names("clusters")
        return {name for name in names if "||at-" in name} == wanted and target(NAME) in names

    async def listens() -> bool:
        return f"{ADDRESS}_{PORT}" in await envoy.names("listeners")

    await until(envoy.admin.live, 30)
    await until(listens, 30)
    await until(lambda: (agent.paths.state / "xds" / "Listener.pb").exists())
    async with calling(here, ADDRESS, PORT) as end:
        async with asyncio.TaskGroup() as load:
            for work in (resolve, resolve, push):
                load.create_task(work())
            for _ in range(4):
                await asyncio.sleep(0.4)
                await agent.end(signal.SIGKILL)
                await agent.start()

            async def connected() -> bool:
                return bool((await agent.status())["control_plane"]["connected"])

            await until(connected, 20)
            await until(lambda: min(done["names"], done["pushes"]) > 100, 60)
            stop.set()
        await until(latest, 30)
        assert await end() > 100
