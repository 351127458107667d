# SPDX-License-Identifier: Apache-2.0
"""The probe that the settings ask for.

A probe is a call that returns when the application is well and raises Unhealthy or OSError when it
is not. None has a clock: the caller bounds and cancels it, and it leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from mesh_agent.health.connect import connect
from mesh_agent.health.exec_probe import probe_exec
from mesh_agent.health.grpc_probe import probe_grpc
from mesh_agent.health.http_probe import probe_http
from mesh_agent.health.settings import ReadinessProbe, TcpSocket

Probe = Callable[[], Awaitable[None]]


def make_probe(settings: ReadinessProbe, addresses: Collection[str]) -> Probe:
    """Return the probe that ``settings`` ask for; ``addresses`` are the workload's."""
    first = next(iter(addresses), "127.0.0.1")
    if http_get := settings.http_get:
        return lambda: probe_http(http_get, http_get.host or first, addresses)
    if tcp_socket := settings.tcp_socket:
        return lambda: probe_tcp(tcp_socket, tcp_socket.host or first, addresses)
    if grpc := settings.grpc:
        return lambda: probe_grpc(grpc, first, addresses)
    if program := settings.exec:
        return lambda: probe_exec(program)
    raise ValueError("expected a probe of some kind, found none")


async def probe_tcp(settings: TcpSocket, host: str, own_addresses: Collection[str]) -> None:
    """Connect; being accepted is enough."""
    (await connect(host, settings.port, own_addresses)).close()
