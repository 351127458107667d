# SPDX-License-Identifier: Apache-2.0
"""What Envoy and the host's programs wait for: secrets, configuration and names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from mesh_agent.dns.service import DnsService
from mesh_agent.health.state import HealthReport
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import Endpoint
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.service import RelayService
from mesh_agent.relay.upstream import Connector
from mesh_agent.sds.service import SecretService
from mesh_agent.settings import AgentSettings, Paths
from mesh_agent.sockets import Sockets
from mesh_core.clock import Clock
from mesh_core.wire import rpc


@dataclass(slots=True)
class Services:
    """Parts of a running agent. ``dns`` is None when it is off.

    ``health`` is the last report, None while there is none.
    """

    identity: IdentityService
    secrets: SecretService
    relay: RelayService
    dns: DnsService | None
    health: HealthReport | None = None

    async def listen(self, sockets: Sockets) -> None:
        """Answer Envoy from now on."""
        await rpc.server(streams=self.secrets.handlers()).start(sock=sockets.sds)
        await rpc.server(streams=self.relay.handlers()).start(sock=sockets.xds)

    def long_lived(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what runs for ever, by the names that stand in the log."""
        found: dict[str, Callable[[], Awaitable[None]]] = {"relay": self.relay.run}
        return found | {"dns": self.dns.run} if self.dns else found

    def report_health(self, report: HealthReport) -> None:
        """Tell the control plane of the application's health."""
        self.health = report
        self.relay.report_health()

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


def build(
    settings: AgentSettings,
    paths: Paths,
    sockets: Sockets,
    identity: IdentityService,
    endpoints: Sequence[Endpoint],
    clock: Clock,
) -> Services:
    """Make the parts and load what earlier runs left on disk; nothing listens yet.

    ``endpoints`` are those of the control plane, in the order in which they are tried.
    """
    last_good = LastGood(paths.state / "xds")
    last_good.load()
    dns = _dns(settings, paths, sockets, clock)
    relay = RelayService(
        Connector(settings.control_plane, endpoints, identity, cluster_id=settings.mesh.cluster_id),
        last_good,
        Companion(dns.update if dns else None, lambda: services.health),
        clock,
    )
    services = Services(identity, SecretService(identity), relay, dns)
    return services


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
