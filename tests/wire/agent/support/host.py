# SPDX-License-Identifier: Apache-2.0
"""The agent's relay, SDS and identity in this process, on private sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mesh_agent.health.state import HealthReport
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.keys import open_worker
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.identity.store import IdentityStore
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.service import RelayService
from mesh_agent.relay.upstream import Connector
from mesh_agent.sds.service import SecretService
from mesh_agent.settings import AgentSettings, Paths, WorkloadSettings
from mesh_core.clock import SystemClock
from mesh_core.wire import rpc, types
from tests.wire.agent.support.plane import Plane


def settings_for(plane: Plane, tmp_path: Path) -> AgentSettings:
    """A host of the mesh that ``plane`` controls."""
    return AgentSettings(
        control_plane=ControlPlaneSettings(
            addresses=(f"127.0.0.1:{plane.port}",), root_certificate=plane.root
        ),
        workload=WorkloadSettings(
            name="api-1",
            namespace="shop",
            service_account="api",
            group="api",
            addresses=("127.0.0.1",),
        ),
        identity=IdentitySettings(token=tmp_path / "token"),
    )


@dataclass(slots=True)
class Host:
    """Parts of a running agent."""

    identity: IdentityService
    relay: RelayService
    tables: list[bytes]
    reports: list[HealthReport]

    def held(self) -> dict[str, int]:
        """How many resources of each type Envoy accepted."""
        kinds = (types.CLUSTER, types.ENDPOINT, types.LISTENER)
        return {types.short(kind): len(self.relay.held(kind) or ()) for kind in kinds}


@asynccontextmanager
async def running_host(settings: AgentSettings, paths: Paths) -> AsyncIterator[Host]:
    """Run identity, SDS and relay until the end of the block."""
    clock = SystemClock()
    identity = IdentityService(
        settings.spiffe_id,
        settings.identity,
        settings.control_plane.endpoints,
        store=IdentityStore(paths.state / "identity"),
        signer=CertificateClient(
            settings.control_plane,
            cluster_id=settings.mesh.cluster_id,
            lifetime_seconds=settings.identity.lifetime_seconds,
        ),
        worker=open_worker,
        clock=clock,
    )
    identity.load()
    store = LastGood(paths.state / "xds")
    store.load()
    tables: list[bytes] = []
    reports: list[HealthReport] = []
    relay = RelayService(
        Connector(
            settings.control_plane,
            settings.control_plane.endpoints,
            identity,
            cluster_id=settings.mesh.cluster_id,
        ),
        store,
        Companion(tables.append, lambda: reports[-1] if reports else None),
        clock,
    )
    paths.xds_socket.parent.mkdir(parents=True, exist_ok=True)
    servers = [
        (rpc.server(streams=relay.handlers()), paths.xds_socket),
        (rpc.server(streams=SecretService(identity).handlers()), paths.sds_socket),
    ]
    for server, path in servers:
        path.unlink(missing_ok=True)
        await server.start(path=str(path))
    tasks = [asyncio.create_task(identity.run()), asyncio.create_task(relay.run())]
    try:
        yield Host(identity, relay, tables, reports)
    finally:
        for server, _ in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server, _ in servers:
            for handler in server._handlers:
                await handler.wait_closed()
