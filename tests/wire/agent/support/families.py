# SPDX-License-Identifier: Apache-2.0
"""IPv6 between hosts of a mesh that has IPv4 only."""

from __future__ import annotations

from typing import Any

from tests.wire.agent.support.meshes import Mesh
from tests.wire.agent.support.pair import CAPTURED_PORTS, IPV6, call
from tests.wire.agent.support.proxy import Envoy
from tests.wire.agent.support.scrape import total
from tests.wire.agent.support.wait import until


def strict() -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default"},
        "spec": {"mtls": {"mode": "STRICT"}},
    }


def registry_only() -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {"name": "default"},
        "spec": {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
    }


async def check_ipv6(namespace: str, calling: Envoy, serving: Envoy, mesh: Mesh) -> None:
    """Hosts with IPv6 in a mesh without: nothing is cut off, and no policy is got round."""

    async def answers(*options: str) -> bool:
        return "200 OK" in await call(namespace, "http", IPV6[1], 8080, *options)

    async def passed() -> tuple[float, float]:
        """Connections past the caller's Envoy, and requests at the other one."""
        out = "istio_tcp_connections_opened_total"
        return (
            await total(calling, out, destination_service_name="PassthroughCluster"),
            await total(serving, "istio_requests_total", reporter="destination"),
        )

    captured = ("--local-port", CAPTURED_PORTS)
    out, into = await passed()

    async def passed_since(*numbers: int) -> bool:
        return await passed() == (out + numbers[0], into + numbers[1])

    assert await answers(*captured)
    await until(lambda: passed_since(1, 1), 10)
    assert await answers()
    await until(lambda: passed_since(1, 2), 10)
    mesh.apply(strict())

    async def refuses() -> bool:
        return not await answers() and not await answers(*captured)

    await until(refuses, 20)
    mesh.remove("PeerAuthentication", "default")
    mesh.apply(registry_only())

    async def blocks() -> bool:
        return await answers() and not await answers(*captured)

    await until(blocks, 20)
