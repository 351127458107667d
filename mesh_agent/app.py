# SPDX-License-Identifier: Apache-2.0
"""The running agent: its parts side by side, signals, and what systemd is told."""

from __future__ import annotations

import asyncio
import enum
import gc
import importlib
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mesh_agent.identity import keys
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import Endpoint
from mesh_agent.identity.store import IdentityStore
from mesh_agent.settings import AgentSettings, Paths
from mesh_agent.sockets import Sockets
from mesh_agent.status.systemd import tell
from mesh_core import systemd
from mesh_core.apart import Apart
from mesh_core.clock import Clock, SystemClock
from mesh_core.errors import MeshError
from mesh_core.supervise import stop, supervise

log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """Why the agent ended."""

    STOPPED = enum.auto()
    RELOAD = enum.auto()


async def serve(
    settings: AgentSettings,
    paths: Paths,
    sockets: Sockets,
    key_worker: Apart | None,
    reread: Callable[[], AgentSettings],
) -> Outcome:
    """Run until SIGTERM or SIGINT, or until SIGHUP finds other, good settings.

    Parts are loaded in the order in which others wait for them, each while the former ones wait
    for the control plane and for Envoy. The failure of a part restarts that part only.
    """
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    _on_signals(ended, settings, reread)
    clock = SystemClock()
    endpoints = list(settings.control_plane.endpoints)
    random.shuffle(endpoints)  # so that several control planes share the hosts
    identity = _identity(settings, paths, endpoints, key_worker, clock)
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []

        def keep(parts: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
            for name, run in parts.items():
                tasks.append(group.create_task(supervise(name, run, clock=clock), name=name))

        keep({"identity": identity.run})
        await asyncio.to_thread(importlib.import_module, "mesh_agent.services")
        from mesh_agent.services import build as build_services

        services = build_services(settings, paths, sockets, identity, endpoints, clock)
        await services.listen(sockets)
        keep(services.long_lived())
        await asyncio.to_thread(importlib.import_module, "mesh_agent.overview")
        from mesh_agent.overview import build as build_overview

        overview = build_overview(settings, paths, services, clock)
        keep(overview.long_lived())
        gc.freeze()  # what was loaded stays: collections need not look at it again
        gc.enable()
        await overview.served.wait()
        tasks.append(group.create_task(tell(services.summary, clock)))
        outcome = await ended
        systemd.notify("STOPPING=1" if outcome is Outcome.STOPPED else "RELOADING=1")
        await stop(tasks, every=1.0)
    return outcome


def _identity(
    settings: AgentSettings,
    paths: Paths,
    endpoints: Sequence[Endpoint],
    key_worker: Apart | None,
    clock: Clock,
) -> IdentityService:
    """Make the identity, with what an earlier run left on disk."""
    spare = keys.Spare(key_worker) if key_worker else None
    identity = IdentityService(
        settings.spiffe_id,
        settings.identity,
        endpoints,
        store=IdentityStore(paths.state / "identity"),
        signer=CertificateClient(
            settings.control_plane,
            cluster_id=settings.mesh.cluster_id,
            lifetime_seconds=settings.identity.lifetime_seconds,
        ),
        worker=lambda: keys.open_worker(spare.take() if spare else None),
        clock=clock,
    )
    identity.load()
    return identity


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
