# SPDX-License-Identifier: Apache-2.0
"""The running agent: its parts side by side, signals, and what systemd is told."""

from __future__ import annotations

import asyncio
import enum
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable

from mesh_agent.services import OpenWorker, Services, build
from mesh_agent.settings import AgentSettings, Paths
from mesh_agent.sockets import Sockets
from mesh_agent.status.settings import StatusSettings
from mesh_agent.status.systemd import tell
from mesh_agent.status.web import StatusPages
from mesh_core import systemd
from mesh_core.errors import MeshError
from mesh_core.http import HttpServer
from mesh_core.supervise import supervise
from mesh_core.wire import rpc

log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """Why the agent ended."""

    STOPPED = enum.auto()
    RELOAD = enum.auto()


async def serve(
    settings: AgentSettings,
    paths: Paths,
    sockets: Sockets,
    worker: OpenWorker,
    reread: Callable[[], AgentSettings],
) -> Outcome:
    """Run until SIGTERM or SIGINT, or until SIGHUP finds other, good settings.

    The failure of a part restarts that part only.
    """
    services = build(settings, paths, sockets, worker)
    gc.freeze()  # what was loaded stays: collections need not look at it again
    gc.enable()
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    _on_signals(ended, settings, reread)
    servers = [
        (rpc.server(streams=services.secrets.handlers()), sockets.sds),
        (rpc.server(streams=services.relay.handlers()), sockets.xds),
    ]
    for server, sock in servers:
        await server.start(sock=sock)
    tried = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(supervise(name, run, clock=services.clock), name=name)
            for name, run in _long_lived(services, settings.status, tried)
        ]
        await tried.wait()
        tasks.append(group.create_task(tell(services.summary, services.clock)))
        outcome = await ended
        systemd.notify("STOPPING=1" if outcome is Outcome.STOPPED else "RELOADING=1")
        for task in tasks:
            task.cancel()
    return outcome


def _long_lived(
    services: Services, status: StatusSettings, tried: asyncio.Event
) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
    found: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("identity", services.identity.run),
        ("relay", services.relay.run),
        ("health", services.health.run),
        ("status", lambda: _serve_pages(services.pages, status, tried)),
    ]
    if services.dns:
        found.append(("dns", services.dns.run))
    return found


async def _serve_pages(pages: StatusPages, status: StatusSettings, tried: asyncio.Event) -> None:
    """Serve status and metrics; MeshError when another program has the port.

    That must not take names and certificates from the host, so it is tried again. ``tried`` is set
    after the first attempt: who hears that the agent is ready may ask for its status.
    """
    server = HttpServer(pages.handle)
    try:
        await server.start(status.address, status.port)
    except OSError as error:
        # Asyncio's own text would name the address again.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise MeshError(f"cannot listen on {status.address}:{status.port}: {reason}") from error
    finally:
        tried.set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await server.close()


def _on_signals(
    ended: asyncio.Future[Outcome],
    settings: AgentSettings,
    reread: Callable[[], AgentSettings],
) -> None:
    def end(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    async def reload() -> None:
        try:
            found = await asyncio.to_thread(reread)  # names are answered meanwhile
        except (MeshError, OSError) as error:
            log.error("the configuration is not taken over: %s", error)
            return
        if found == settings:
            log.info("the configuration is unchanged")
        else:
            end(Outcome.RELOAD)

    def begin_reload() -> None:
        task = loop.create_task(reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    reloads: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end, Outcome.STOPPED)
    loop.add_signal_handler(signal.SIGINT, end, Outcome.STOPPED)
    loop.add_signal_handler(signal.SIGHUP, begin_reload)
