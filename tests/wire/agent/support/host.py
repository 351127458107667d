# SPDX-License-Identifier: Apache-2.0
"""The agent's relay, SDS and identity in this process, on private sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mesh_agent.health.state import HealthReport
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.keys import open_worker
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.store import IdentityStore
from mesh_agent.relay import upstream
from mesh_agent.relay.companion import Companion
from mesh_agent.relay.dialect import Delta
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.service import RelayService
from mesh_agent.sds.service import SecretService
from mesh_agent.settings import AgentSettings, Paths
from mesh_core.clock import SystemClock
from mesh_core.wire import rpc, types
from tests.wire.agent.support.tap import Conversation, TappedConnector


def without_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have control planes answer UNIMPLEMENTED to delta, as those without it do."""

    class OfAnotherRelease(Delta):
        path = Delta.path + "OfAnotherRelease"

    monkeypatch.setattr(upstream, "Delta", OfAnotherRelease)


@dataclass(slots=True)
class Host:
    """Parts of a running agent."""

    identity: IdentityService
    relay: RelayService
    connector: TappedConnector
    tables: list[bytes]
    reports: list[HealthReport]

    def held(self) -> dict[str, int]:
        """How many resources of each type Envoy accepted."""
        kinds = (types.CLUSTER, types.ENDPOINT, types.LISTENER)
        return {types.short(kind): len(self.relay.held(kind) or ()) for kind in kinds}

    @property
    def conversation(self) -> Conversation:
        """The latest stream to the control plane."""
        return self.connector.conversations[-1]


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
    connector = TappedConnector(
        settings.control_plane,
        settings.control_plane.endpoints,
        identity,
        cluster_id=settings.mesh.cluster_id,
    )
    relay = RelayService(
        connector,
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
        yield Host(identity, relay, connector, tables, reports)
    finally:
        for server, _ in servers:
            server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server, _ in servers:
            for handler in server._handlers:
                await handler.wait_closed()
