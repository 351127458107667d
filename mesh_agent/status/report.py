# SPDX-License-Identifier: Apache-2.0
"""The host as operators see it: asked from all parts, told as data."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from mesh_agent.envoy.admin import EnvoyAdmin, EnvoyError
from mesh_agent.health.service import HealthStatus
from mesh_agent.identity.model import IdentityState
from mesh_agent.identity.service import IdentityService
from mesh_agent.relay.record import Record
from mesh_agent.settings import AgentSettings
from mesh_agent.status.application import ScrapeError, scrape
from mesh_agent.status.exposition import Sample, render
from mesh_agent.status.standard import standard
from mesh_core import __version__

log = logging.getLogger(__name__)


class DnsPart(Protocol):
    """What is asked of `mesh_agent.dns.service.DnsService`."""

    def status(self) -> Any:
        """Return a dataclass with names, upstreams, ready."""

    def metrics(self) -> Iterable[Sample]:
        """Return its samples."""


@dataclass(slots=True)
class Report:
    """``dns`` is None when DNS is off."""

    settings: AgentSettings
    identity: IdentityService
    relay: Record
    dns: DnsPart | None
    health: Callable[[], HealthStatus]
    redirect: Callable[[], Mapping[str, object]]
    proxy: EnvoyAdmin
    scrape_failures: Counter[str] = field(default_factory=lambda: Counter(envoy=0))

    async def lacks(self) -> list[str]:
        """Return what keeps this host from being ready, in words; nothing if it is."""
        found = []
        if not await self.proxy.live():
            found.append("proxy: Envoy is not there or waits for its configuration")
        identity = self.identity.status()
        if identity.state is not IdentityState.VALID:
            found.append(f"identity: {identity.last_error or identity.state}")
        if self.dns and not self.dns.status().ready:
            found.append("dns: no name table yet")
        return found

    async def status(self) -> dict[str, Any]:
        """Return everything, as JSON data but for times."""
        lacks = await self.lacks()
        workload, mesh = self.settings.workload, self.settings.mesh
        dns = self.dns.status() if self.dns else None
        return {
            "version": __version__,
            "ready": not lacks,
            "lacks": lacks,
            "workload": {
                "name": workload.name,
                "namespace": workload.namespace,
                "service_account": workload.service_account,
                "group": workload.group,
                "addresses": list(workload.addresses),
                "network": mesh.network,
                "profile": self.settings.profile,
            },
            "identity": asdict(self.identity.status()),
            "control_plane": asdict(self.relay.status),
            "proxy": {
                "ready": not any(text.startswith("proxy:") for text in lacks),
                "nacks": [asdict(refusal) for refusal in self.relay.refusals],
            },
            "dns": {
                "names": dns.names if dns else 0,
                "upstreams": list(dns.upstreams) if dns else [],
                "ready": dns.ready if dns else False,
            },
            "redirect": dict(self.redirect()),
            "health": asdict(self.health()),
        }

    async def metrics(self, query: str = "") -> bytes:
        """Return the agent's metrics, Envoy's and the application's in Prometheus' text format.

        One not answering is counted, never an error: the others are worth having.
        """
        envoys, applications = await asyncio.gather(self._envoys(query), self._applications())
        own = [*self._samples(), *(self.dns.metrics() if self.dns else ())]
        return render(own) + envoys + applications

    async def _envoys(self, query: str) -> bytes:
        try:
            raw = await self.proxy.prometheus(query)
        except EnvoyError:
            self.scrape_failures["envoy"] += 1
            return b""
        return await asyncio.to_thread(standard, raw)  # names are answered meanwhile

    async def _applications(self) -> bytes:
        status = self.settings.status
        if status.application_port is None:
            return b""
        try:
            return await scrape(status.application_port, status.application_path)
        except ScrapeError as error:
            log.debug("the application's metrics are left out: %s", error)
            self.scrape_failures["application"] += 1
            return b""

    def _samples(self) -> Iterator[Sample]:
        identity, relay = self.identity.status(), self.relay
        yield "mesh_agent_info", {"version": __version__}, 1
        left = self.identity.seconds_left()
        if left is not None:
            # Negative once it has ended. Without a new token, the host is stranded from then on.
            yield "istio_agent_cert_expiry_seconds", {"resource_name": "default"}, left
        yield "mesh_agent_identity_valid", {}, identity.state is IdentityState.VALID
        expired = identity.state is IdentityState.EXPIRED
        yield "mesh_agent_identity_expired", {}, expired
        yield "mesh_agent_identity_needs_token", {}, identity.needs_token
        yield "mesh_agent_control_plane_connected", {}, relay.status.connected
        counts = relay.counts
        yield "mesh_agent_control_plane_connections_total", {}, counts.connections
        yield "mesh_agent_control_plane_failures_total", {}, counts.connection_failures
        yield "mesh_agent_last_good_resources_served_total", {}, counts.served_from_cache
        for name, counter in (
            ("requests", counts.requests),
            ("responses", counts.responses),
            ("refusals", counts.refusals),
        ):
            for kind, count in sorted(counter.items()):
                yield f"mesh_agent_xds_{name}_total", {"type": kind}, count
        yield "mesh_agent_refused_resources", {}, len(relay.refusals)
        health = self.health()
        if health.state in ("healthy", "unhealthy"):
            yield "mesh_agent_application_healthy", {}, health.state == "healthy"
        for kind, count in sorted(self.scrape_failures.items()):
            yield "mesh_agent_scrape_failures_total", {"type": kind}, count
