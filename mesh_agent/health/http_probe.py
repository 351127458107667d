# SPDX-License-Identifier: Apache-2.0
"""HTTP: a GET request whose answer is 200 to 399."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import h11

from mesh_agent.health.connect import connect
from mesh_agent.health.result import Unhealthy
from mesh_agent.health.settings import HttpGet

_REDIRECTS: Final = 10
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


async def probe_http(settings: HttpGet, host: str, own_addresses: Collection[str]) -> None:
    """Request the path; redirects are followed on the same host and port.

    One to elsewhere is an answer as good as any: it says nothing about this application.
    """
    authority = f"[{host}]" if ":" in host else host
    origin = f"{settings.scheme.lower()}://{authority}:{settings.port}"
    url = origin + settings.path
    for _unused in range(_REDIRECTS):
        answer = await _get(urlsplit(url), settings, own_addresses)
        status, location = answer.status_code, dict(answer.headers).get(b"location")
        if not 200 <= status < 400:
            raise Unhealthy(f"{url} answered {status}")
        if location is None or status < 300:
            return
        url = urljoin(url, location.decode("latin-1"))
        if _origin(urlsplit(url)) != _origin(urlsplit(origin)):
            return
    raise Unhealthy(f"{origin}{settings.path} answered more than {_REDIRECTS} redirects")


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        return url.scheme, url.hostname, url.port or _DEFAULT_PORTS.get(url.scheme)
    except ValueError:  # no port that there could be
        return url.scheme, None, None


async def _get(url: SplitResult, settings: HttpGet, own_addresses: Collection[str]) -> h11.Response:
    host = url.hostname or ""
    sock = await connect(host, settings.port, own_addresses)
    try:
        tls = _tls() if url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname=host if tls else None
        )
    except BaseException:
        sock.close()
        raise
    try:
        headers = {"host": url.netloc, "user-agent": "istio-probe/1.0", "accept": "*/*"}
        headers |= {name.lower(): value for name, value in settings.headers.items()}
        headers["connection"] = "close"
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method="GET", target=target, headers=list(headers.items()))
        writer.write(connection.send(request) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(4096))
    except h11.ProtocolError as error:
        raise Unhealthy(f"{url.geturl()} did not answer in HTTP: {error}") from error
    finally:
        writer.transport.abort()  # the body may be long, and nobody wants it


def _tls() -> ssl.SSLContext:
    """Return TLS that takes any certificate: a probe asks for health, not for identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
