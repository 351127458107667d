# SPDX-License-Identifier: Apache-2.0
"""What is told of the host: the application's health, status and metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field

from mesh_agent.dns.nametable import decode_name_table
from mesh_agent.dns.store import NameStore
from mesh_agent.envoy.admin import EnvoyAdmin
from mesh_agent.health.service import HealthService
from mesh_agent.redirect.record import read_status
from mesh_agent.services import Services
from mesh_agent.settings import AgentSettings, Paths
from mesh_agent.status.report import Report
from mesh_agent.status.settings import StatusSettings
from mesh_agent.status.web import StatusPages
from mesh_core.clock import Clock
from mesh_core.errors import MeshError
from mesh_core.http import HttpServer


@dataclass(slots=True)
class Overview:
    """``served`` is set once it was tried to serve status: who hears of readiness may ask then."""

    health: HealthService
    pages: StatusPages
    status: StatusSettings
    served: asyncio.Event = field(default_factory=asyncio.Event)

    def long_lived(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what runs for ever, by the names that stand in the log."""
        return {"health": self.health.run, "status": self._serve_pages}

    async def _serve_pages(self) -> None:
        """Serve status and metrics; MeshError when another program has the port.

        That must not take names and certificates from the host, so it is tried again.
        """
        server, status = HttpServer(self.pages.handle), self.status
        try:
            await server.start(status.address, status.port)
        except OSError as error:
            # Asyncio's own text would name the address again.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise MeshError(f"cannot listen on {status.address}:{status.port}: {reason}") from error
        finally:
            self.served.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await server.close()


def build(settings: AgentSettings, paths: Paths, services: Services, clock: Clock) -> Overview:
    """Make the parts; nothing listens yet."""
    health = HealthService(
        settings.health, settings.workload.addresses, services.report_health, clock=clock
    )
    report = Report(
        settings=settings,
        identity=services.identity,
        relay=services.relay.record,
        dns=services.dns,
        health=health.status,
        redirect=lambda: asdict(read_status()),
        proxy=EnvoyAdmin(paths.admin_socket),
    )
    return Overview(health, StatusPages(report, lambda: _names(paths, clock)), settings.status)


def _names(paths: Paths, clock: Clock) -> object | None:
    """Return the stored name table as JSON data."""
    table = NameStore(paths.state / "dns", clock).load()
    return [asdict(record) for record in decode_name_table(table)] if table else None
