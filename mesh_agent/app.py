# SPDX-License-Identifier: Apache-2.0
"""The agent, put together: services, signals, and what systemd is told."""

from __future__ import annotations

import asyncio
import enum
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from mesh_agent.dns.nametable import decode_name_table
from mesh_agent.dns.service import DnsService
from mesh_agent.dns.store import NameStore
from mesh_agent.envoy.admin import EnvoyAdmin
from mesh_agent.health.service import HealthService
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.keys import open_worker
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.store import IdentityStore
from mesh_agent.redirect.record import read_status
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.service import RelayService
from mesh_agent.relay.upstream import Connector
from mesh_agent.sds.service import SecretService
from mesh_agent.settings import AgentSettings, Paths
from mesh_agent.sockets import Sockets
from mesh_agent.status.report import Report
from mesh_agent.status.settings import StatusSettings
from mesh_agent.status.systemd import tell
from mesh_agent.status.web import StatusPages
from mesh_core import systemd
from mesh_core.clock import Clock, SystemClock
from mesh_core.errors import MeshError
from mesh_core.http import HttpServer
from mesh_core.supervise import supervise
from mesh_core.wire import rpc

log = logging.getLogger(__name__)


class Outcome(enum.Enum):
    """Why the agent ended."""

    STOPPED = enum.auto()
    RELOAD = enum.auto()


@dataclass(slots=True)
class Services:
    """The parts of a running agent. ``dns`` is None when it is off."""

    identity: IdentityService
    secrets: SecretService
    relay: RelayService
    health: HealthService
    dns: DnsService | None
    pages: StatusPages
    clock: Clock


def build(settings: AgentSettings, paths: Paths, sockets: Sockets) -> Services:
    """Make the parts and load what earlier runs left on disk; nothing listens yet."""
    clock = SystemClock()
    plane, mesh = settings.control_plane, settings.mesh
    identity = IdentityService(
        settings.spiffe_id,
        settings.identity,
        plane.endpoints,
        store=IdentityStore(paths.state / "identity"),
        signer=CertificateClient(
            plane,
            cluster_id=mesh.cluster_id,
            lifetime_seconds=settings.identity.lifetime_seconds,
        ),
        worker=open_worker,
        clock=clock,
    )
    identity.load()
    last_good = LastGood(paths.state / "xds")
    last_good.load()
    dns = _dns(settings, paths, sockets, clock)
    relay = RelayService(
        Connector(plane, identity, cluster_id=mesh.cluster_id),
        last_good,
        Companion(dns.update if dns else None, lambda: health.last),
        clock,
    )
    health = HealthService(
        settings.health,
        settings.workload.addresses,
        lambda report: relay.report_health(),
        clock=clock,
    )
    report = Report(
        settings=settings,
        identity=identity,
        relay=relay.record,
        dns=dns,
        health=health.status,
        redirect=lambda: asdict(read_status()),
        proxy=EnvoyAdmin(paths.admin_socket),
    )
    pages = StatusPages(report, lambda: _names(paths, clock))
    return Services(identity, SecretService(identity), relay, health, dns, pages, clock)


async def serve(
    settings: AgentSettings,
    paths: Paths,
    sockets: Sockets,
    reread: Callable[[], AgentSettings],
) -> Outcome:
    """Run until SIGTERM or SIGINT, or until SIGHUP finds other, good settings.

    The failure of a part restarts that part only.
    """
    services = build(settings, paths, sockets)
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
        tasks.append(group.create_task(tell(lambda: _summary(services), services.clock)))
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


def _dns(
    settings: AgentSettings, paths: Paths, sockets: Sockets, clock: Clock
) -> DnsService | None:
    if not settings.dns.enabled:
        return None
    return DnsService(
        settings.dns,
        sockets.dns,
        paths.state,
        namespace=settings.workload.namespace,
        domain=settings.mesh.domain,
        clock=clock,
    )


def _names(paths: Paths, clock: Clock) -> object | None:
    """Return the stored name table as JSON data."""
    table = NameStore(paths.state / "dns", clock).load()
    return [asdict(record) for record in decode_name_table(table)] if table else None


def _on_signals(
    ended: asyncio.Future[Outcome],
    settings: AgentSettings,
    reread: Callable[[], AgentSettings],
) -> None:
    def end(outcome: Outcome) -> None:
        if not ended.done():
            ended.set_result(outcome)

    def reload() -> None:
        try:
            found = reread()
        except MeshError as error:
            log.error("the configuration is not taken over: %s", error)
            return
        if found == settings:
            log.info("the configuration is unchanged")
        else:
            end(Outcome.RELOAD)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end, Outcome.STOPPED)
    loop.add_signal_handler(signal.SIGINT, end, Outcome.STOPPED)
    loop.add_signal_handler(signal.SIGHUP, reload)


def _summary(services: Services) -> str:
    identity, plane = services.identity.status(), services.relay.record.status
    parts = [f"certificate {identity.state}"]
    if identity.not_after:
        parts[0] += f" until {identity.not_after:%Y-%m-%d %H:%M:%S} UTC"
    parts.append(f"control plane {plane.address}" if plane.connected else "no control plane")
    if services.dns:
        parts.append(f"{services.dns.status().names} names")
    if refused := len(services.relay.record.refusals):
        parts.append(f"Envoy refuses {refused} resources")
    return ", ".join(parts)
