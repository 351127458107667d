# SPDX-License-Identifier: Apache-2.0
"""The whole agent as systemd runs it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from mesh_agent.settings import AgentSettings, Paths
from mesh_core import http
from mesh_core.wire import messages, types
from tests.wire.agent.support.plane import Plane, until
from tests.wire.agent.support.process import Unit, free_port, unit, write_settings
from tests.wire.agent.support.proxy import Envoy, running_envoy
from tests.wire.agent.support.resources import cluster, endpoint, listener

NAME = "api.shop.svc.cluster.local"


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


async def test_it_is_ready_when_it_listens_and_stops_cleanly(agent: Unit, plane: Plane) -> None:
    await agent.start(WATCHDOG_USEC="300000")
    await agent.hear("WATCHDOG=1")
    await agent.hear("STATUS=certificate valid until")
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
    assert plane.proofs == ["token"]


async def test_other_settings_are_taken_over_in_the_same_process(
    agent: Unit, settings: AgentSettings
) -> None:
    await agent.start()
    assert agent.process
    process = agent.process
    status = {"address": "127.0.0.1", "port": agent.status_port}

    write_settings(settings, agent.config, status=status, mesh={"network": 7})
    process.send_signal(signal.SIGHUP)
    await until(lambda: "not taken over" in agent.log.read_text())
    assert "agent.yaml: mesh.network: expected a string, found 7" in agent.log.read_text()
    assert (await agent.status())["workload"]["network"] == "network-1"

    write_settings(settings, agent.config, status=status, mesh={"network": "network-9"})
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
    for network in ("network-8", "network-9"):
        status = {"address": "127.0.0.1", "port": agent.status_port}
        write_settings(settings, agent.config, status=status, mesh={"network": network})
        agent.process.send_signal(signal.SIGHUP)
        await agent.hear("RELOADING=1")
        await agent.hear("READY=1")
    assert children(agent.process.pid) == 1


async def test_what_keeps_it_from_starting_is_one_line(agent: Unit, plane: Plane) -> None:
    plane.root.write_text("nothing")
    with pytest.raises(RuntimeError, match="the agent ended"):
        await agent.start()
    assert agent.process
    assert await agent.process.wait() == 1
    (line,) = agent.log.read_text().splitlines()
    assert line.startswith("mesh-agent: control_plane.root_certificate: expected PEM certificates")


async def test_a_taken_status_port_takes_nothing_else(agent: Unit, plane: Plane) -> None:
    other = await asyncio.start_server(echo, "127.0.0.1", agent.status_port)
    await agent.start()
    await until(lambda: plane.proofs)
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


@pytest.mark.needs_envoy
async def test_killed_again_and_again_under_load_nothing_is_lost(
    agent: Unit,
    plane: Plane,
    settings: AgentSettings,
    paths: Paths,
    envoy_binary: Path,
    tmp_path: Path,
) -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = free_port()
    for name in ("a", "b"):
        plane.put(types.CLUSTER, name, "1", cluster(name))
    plane.put(types.ENDPOINT, "a", "1", endpoint("a", server.sockets[0].getsockname()[1]))
    plane.put(types.ENDPOINT, "b", "1", endpoint("b", 9))
    plane.put(types.LISTENER, "l", "1", listener("l", port, "a"))
    table = messages.NameTable()
    table.table[NAME].ips.append("240.240.0.1")
    plane.put(types.NAME_TABLE, "", "1", table)

    stop = asyncio.Event()
    done = {"calls": 0, "names": 0, "pushes": 0}

    async def call() -> None:
        while not stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\n")
            assert await reader.readline() == b"hello\n"
            writer.close()
            done["calls"] += 1

    async def resolve() -> None:
        while not stop.is_set():
            assert await ask_name(agent) == "240.240.0.1"
            done["names"] += 1

    async def push() -> None:
        while not stop.is_set():
            done["pushes"] += 1
            version = str(done["pushes"] + 1)
            plane.put(types.ENDPOINT, "b", version, endpoint("b", 1000 + done["pushes"] % 1000))
            plane.put(types.CLUSTER, "b", version, cluster("b", f"{version}s"))
            await plane.push()
            await asyncio.sleep(0.005)

    async def latest(envoy: Envoy) -> bool:
        return (await envoy.names("clusters")) == {"a": "1", "b": str(done["pushes"] + 1)}

    await agent.start()
    async with running_envoy(envoy_binary, settings, paths, tmp_path) as envoy:
        await until(envoy.admin.live)
        await until(lambda: (paths.state / "xds" / "Listener.pb").exists())
        async with asyncio.TaskGroup() as load:
            for work in (call, call, resolve, resolve, push):
                load.create_task(work())
            for _ in range(4):
                await asyncio.sleep(0.4)
                await agent.end(signal.SIGKILL)
                await agent.start()
            await until(lambda: plane.clients)
            stop.set()
        await until(lambda: latest(envoy))
        await plane.push()
        status = await agent.status()
        assert status["ready"], status["lacks"]
        assert status["control_plane"]["source"] == "live"
        assert plane.proofs == ["token"]
        assert await agent.end(signal.SIGTERM) == 0
        assert "Traceback" not in agent.log.read_text()
        assert await envoy.names("listeners") == {"l": "1"}
    assert min(done["calls"], done["names"], done["pushes"]) > 100, done
    server.close()
    await server.wait_closed()
