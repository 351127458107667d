# SPDX-License-Identifier: Apache-2.0
"""The parts of the agent, made of its settings and put together."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass

from mesh_agent.dns.nametable import decode_name_table
from mesh_agent.dns.service import DnsService
from mesh_agent.dns.store import NameStore
from mesh_agent.envoy.admin import EnvoyAdmin
from mesh_agent.health.service import HealthService
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.keys import KeyWorker
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
from mesh_agent.status.web import StatusPages
from mesh_core.clock import Clock, SystemClock

OpenWorker = Callable[[], AbstractAsyncContextManager[KeyWorker]]


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

    def summary(self) -> str:
        """Return one line about the agent, for systemd."""
        identity, plane = self.identity.status(), self.relay.record.status
        parts = [f"certificate {identity.state}"]
        if identity.not_after:
            parts[0] += f" until {identity.not_after:%Y-%m-%d %H:%M:%S} UTC"
        parts.append(f"control plane {plane.address}" if plane.connected else "no control plane")
        if self.dns:
            parts.append(f"{self.dns.status().names} names")
        if refused := len(self.relay.record.refusals):
            parts.append(f"Envoy refuses {refused} resources")
        return ", ".join(parts)


def build(settings: AgentSettings, paths: Paths, sockets: Sockets, worker: OpenWorker) -> Services:
    """Make the parts and load what earlier runs left on disk; nothing listens yet."""
    clock = SystemClock()
    plane, mesh = settings.control_plane, settings.mesh
    endpoints = list(plane.endpoints)
    random.shuffle(endpoints)  # so that several control planes share the hosts
    identity = IdentityService(
        settings.spiffe_id,
        settings.identity,
        endpoints,
        store=IdentityStore(paths.state / "identity"),
        signer=CertificateClient(
            plane,
            cluster_id=mesh.cluster_id,
            lifetime_seconds=settings.identity.lifetime_seconds,
        ),
        worker=worker,
        clock=clock,
    )
    identity.load()
    last_good = LastGood(paths.state / "xds")
    last_good.load()
    dns = _dns(settings, paths, sockets, clock)
    relay = RelayService(
        Connector(plane, endpoints, identity, cluster_id=mesh.cluster_id),
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
