# SPDX-License-Identifier: Apache-2.0
"""Questions to the running Envoy, over its administration socket."""

from __future__ import annotations

from pathlib import Path

from mesh_core import http
from mesh_core.clock import Clock
from mesh_core.errors import MeshError

_LOOK_SECONDS = 0.2


class EnvoyError(MeshError):
    """Envoy does not answer, or with an error; the text says what."""


class EnvoyAdmin:
    """The administration interface behind a unix socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def live(self) -> bool:
        """Whether Envoy has all it needs to serve: its listeners and clusters are there."""
        try:
            answer = await http.get("/ready", unix=self._socket, timeout=2.0)
        except (OSError, TimeoutError):
            return False
        return answer.status == 200

    async def prometheus(self, query: str = "", *, seconds: float = 5.0) -> bytes:
        """Return all statistics in Prometheus' text format; EnvoyError."""
        target = "/stats/prometheus" + (f"?{query}" if query else "")
        return await self._ask("GET", target, seconds)

    async def drain(self, seconds: float, clock: Clock) -> None:
        """Have Envoy take no new connections, and wait for the others to end, at most ``seconds``.

        EnvoyError.
        """
        await self._ask("POST", "/drain_listeners?graceful&skip_exit", 5.0)
        end = clock.monotonic() + seconds
        while clock.monotonic() < end and await self._connections():
            await clock.sleep(_LOOK_SECONDS)

    async def _connections(self) -> int:
        answer = await self._ask("GET", "/stats?filter=^server.total_connections$", 5.0)
        return int(answer.rpartition(b":")[2] or 0)

    async def _ask(self, method: str, target: str, seconds: float) -> bytes:
        try:
            answer = await http.get(target, unix=self._socket, timeout=seconds, method=method)
        except TimeoutError as error:
            raise EnvoyError(f"Envoy does not answer on {self._socket}") from error
        except OSError as error:
            raise EnvoyError(f"{self._socket}: {error.strerror or error}") from error
        if answer.status != 200:
            raise EnvoyError(f"Envoy answered {answer.status} to {target}")
        return answer.body
