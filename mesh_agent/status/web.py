# SPDX-License-Identifier: Apache-2.0
"""The HTTP paths of the agent: readiness and metrics for all, the rest for this host only."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from datetime import datetime

from mesh_agent.status.exposition import CONTENT_TYPE
from mesh_agent.status.report import Report
from mesh_core.http import Request, Response

_JSON = "application/json"


class StatusPages:
    """``names`` gives the name table as JSON data, None while there is none."""

    def __init__(self, report: Report, names: Callable[[], object | None]) -> None:
        self._report = report
        self._names = names

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        path, _unused, query = request.target.partition("?")
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"expected GET\n")
        if path == "/healthz/ready":
            lacks = await self._report.lacks()
            return Response(503 if lacks else 200, "".join(f"{text}\n" for text in lacks).encode())
        if path in ("/metrics", "/stats/prometheus"):
            return Response(200, await self._report.metrics(query), CONTENT_TYPE)
        if path in ("/status", "/debug/ndsz"):
            if not _from_here(request.peer):
                return Response(403, b"answered on this host only\n")
            if path == "/status":
                return _json(await self._report.status())
            names = self._names()
            return _json(names) if names is not None else Response(404, b"{}\n", _JSON)
        return Response(404, b"expected /healthz/ready, /metrics, /stats/prometheus or /status\n")


def _json(data: object) -> Response:
    text = json.dumps(data, indent=1, default=_plain) + "\n"
    return Response(200, text.encode(), _JSON)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _from_here(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
