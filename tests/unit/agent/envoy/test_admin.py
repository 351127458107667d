# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh_agent.envoy.admin import EnvoyAdmin, EnvoyError
from mesh_agent.sockets import bind_unix
from mesh_core.http import HttpServer, Request, Response
from tests.wire.agent.support.clock import StepClock


class Envoy:
    """Answers as Envoy's administration interface does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.status = 200
        self.connections = [2, 1, 0]

    async def handle(self, request: Request) -> Response:
        self.asked.append((request.method, request.target))
        if "total_connections" in request.target:
            count = self.connections.pop(0) if len(self.connections) > 1 else self.connections[0]
            return Response(200, f"server.total_connections: {count}\n".encode())
        return Response(self.status, b"text")


@pytest.fixture
async def envoy(tmp_path: Path) -> AsyncIterator[Envoy]:
    envoy = Envoy()
    server = HttpServer(envoy.handle)
    await server.start(sock=bind_unix(tmp_path / "admin.sock"))
    yield envoy
    await server.close()


async def test_live_or_not(envoy: Envoy, tmp_path: Path) -> None:
    admin = EnvoyAdmin(tmp_path / "admin.sock")
    assert await admin.live()
    envoy.status = 503
    assert not await admin.live()
    assert not await EnvoyAdmin(tmp_path / "nobody.sock").live()


async def test_errors_say_what(envoy: Envoy, tmp_path: Path) -> None:
    admin = EnvoyAdmin(tmp_path / "admin.sock")
    assert await admin.prometheus("usedonly") == b"text"
    assert envoy.asked[-1] == ("GET", "/stats/prometheus?usedonly")
    envoy.status = 500
    with pytest.raises(EnvoyError, match="Envoy answered 500 to /stats/prometheus"):
        await admin.prometheus()
    with pytest.raises(EnvoyError, match=r"nobody.sock: No such file"):
        await EnvoyAdmin(tmp_path / "nobody.sock").prometheus()


async def test_draining_waits_for_the_connections(envoy: Envoy, tmp_path: Path) -> None:
    clock = StepClock()
    await EnvoyAdmin(tmp_path / "admin.sock").drain(60, clock)
    assert envoy.asked[0] == ("POST", "/drain_listeners?graceful&skip_exit")
    assert clock.passed == pytest.approx(0.4)


async def test_draining_has_an_end(envoy: Envoy, tmp_path: Path) -> None:
    envoy.connections = [1]
    clock = StepClock()
    await EnvoyAdmin(tmp_path / "admin.sock").drain(5, clock)
    assert clock.passed == pytest.approx(5, abs=0.3)
