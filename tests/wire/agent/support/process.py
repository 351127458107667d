# SPDX-License-Identifier: Apache-2.0
"""The agent as a process of its own, with sockets and a place to notify, as systemd starts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.ports import free_ports
from mesh_agent import sockets
from mesh_agent.settings import AgentSettings, Paths
from mesh_core import http

# Puts inherited sockets where sd_listen_fds(3) has them, and becomes the agent.
_LAUNCHER = """
import fcntl, os, sys
given = [int(text) for text in sys.argv[1].split(",")]
aside = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in given]
for place, descriptor in enumerate(aside, 3):
    os.dup2(descriptor, place)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(given)))
os.closerange(100, 100 + len(given))
os.execv(sys.executable, [sys.executable, "-m", "mesh_agent", *sys.argv[2:]])
"""


def write_settings(settings: AgentSettings, directory: Path, **changes: Any) -> None:
    """Write fragments for what the tests vary."""
    directory.mkdir(exist_ok=True)
    content = {
        "control_plane": asdict(settings.control_plane),
        "mesh": asdict(settings.mesh),
        "workload": asdict(settings.workload),
        "identity": asdict(settings.identity),
        "dns": {"upstreams": ["127.0.0.1:9"]},
        **changes,
    }
    text = json.dumps(content, default=lambda value: str(value))
    (directory / "agent.yaml").write_text(yaml.safe_dump(json.loads(text)))


@dataclass(slots=True)
class Unit:
    """The socket unit and the service unit of an agent."""

    paths: Paths
    config: Path
    status_port: int
    log: Path
    held: list[socket.socket]
    notifications: socket.socket
    process: asyncio.subprocess.Process | None = None
    said: list[str] = field(default_factory=list)

    @property
    def dns_port(self) -> int:
        """Where names are asked for."""
        return int(self.held[2].getsockname()[1])

    async def start(self, **environment: str) -> None:
        """Start the agent and wait until it is ready."""
        self.said.clear()
        descriptors = [sock.fileno() for sock in self.held]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _LAUNCHER, ",".join(map(str, descriptors)), "run"),
                *("--config", str(self.config), "--state", str(self.paths.state)),
                *("--run", str(self.paths.run)),
                pass_fds=descriptors,
                env={
                    **os.environ,
                    "NOTIFY_SOCKET": self.notifications.getsockname(),
                    **environment,
                },
                stdout=log,
                stderr=log,
            )
        ready = asyncio.create_task(self.hear("READY=1"))
        ended = asyncio.create_task(self.process.wait())
        await asyncio.wait([ready, ended], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise RuntimeError(f"the agent ended: {self.log.read_text()}")
        ended.cancel()
        await ready

    async def hear(self, *texts: str, seconds: float = 15.0) -> None:
        """Wait for notifications that begin so, in any order."""
        loop = asyncio.get_running_loop()
        missing = set(texts)
        async with asyncio.timeout(seconds):
            while missing:
                message = (await loop.sock_recv(self.notifications, 4096)).decode()
                self.said += message.splitlines()
                for line in message.splitlines():
                    missing -= {text for text in missing if line.startswith(text)}

    async def end(self, number: int = signal.SIGKILL) -> int:
        """Signal the agent and return its exit status."""
        assert self.process
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(10):
            return await self.process.wait()

    async def status(self) -> Any:
        """What the agent says of itself."""
        answer = await http.get("/status", port=self.status_port)
        return json.loads(answer.body)


def _bind_alike(udp: socket.socket, tcp: socket.socket) -> None:
    """Bind both to one port, as DNS has it."""
    for _ in range(50):
        (port,) = free_ports(1)
        with contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return
    raise OSError("no port is free for UDP and TCP")


@contextmanager
def unit(settings: AgentSettings, paths: Paths, directory: Path) -> Iterator[Unit]:
    """Hold the sockets of an agent, as its socket unit does."""
    with (
        sockets.bind_unix(paths.sds_socket) as sds,
        sockets.bind_unix(paths.xds_socket) as xds,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifications,
    ):
        _bind_alike(udp, tcp)
        for sock in (sds, xds, tcp):
            sock.listen(100)
        notifications.bind(str(directory / "notify"))
        notifications.setblocking(False)
        (port,) = free_ports(1)
        status = {"address": "127.0.0.1", "port": port}
        write_settings(settings, directory / "config.d", status=status)
        yield Unit(
            paths=paths,
            config=directory / "config.d",
            status_port=port,
            log=directory / "agent.log",
            held=[sds, xds, udp, tcp],
            notifications=notifications,
        )
