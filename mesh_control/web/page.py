# SPDX-License-Identifier: Apache-2.0
"""The status port: ``/status``, ``/metrics``, ``/healthz``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from mesh_control.web.metrics import CONTENT_TYPE, Metrics
from mesh_core.http import Request, Response


class Page:
    """Answers GETs. ``ailments`` returns why the process is not healthy; empty when it is."""

    def __init__(
        self,
        *,
        status: Callable[[], Mapping[str, Any]],
        metrics: Metrics,
        ailments: Callable[[], list[str]],
    ) -> None:
        self._status = status
        self._metrics = metrics
        self._ailments = ailments

    async def answer(self, request: Request) -> Response:
        """Serve one request."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"expected GET\n", headers={"allow": "GET"})
        match request.target.partition("?")[0]:
            case "/status":
                body = json.dumps(self._status(), indent=1).encode()
                return Response(200, body + b"\n", "application/json")
            case "/metrics":
                return Response(200, self._metrics.render().encode(), CONTENT_TYPE)
            case "/healthz":
                ailments = self._ailments()
                text = "".join(f"{ailment}\n" for ailment in ailments or ["ok"])
                return Response(503 if ailments else 200, text.encode())
            case _:
                return Response(404, b"expected /status, /metrics or /healthz\n")
