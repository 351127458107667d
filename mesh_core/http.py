# SPDX-License-Identifier: Apache-2.0
"""The little HTTP/1.1 that the agent and the control plane need: GETs for status and metrics.

Framing is h11's; no routes, no keep-alive, a bound on time and size. Not meant for the open
network: it serves loopback and scrapers, and asks Envoy's admin socket.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h11

log = logging.getLogger(__name__)

REQUEST_SECONDS = 10.0
_CHUNK = 65536
# Of an answer: Envoy's statistics are the largest.
_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its body. ``peer`` is the caller's address, empty on unix sockets."""

    method: str
    target: str
    headers: Mapping[str, str]
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names in lower case."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


class HttpServer:
    """Answers each connection's first request with what ``handler`` returns."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None

    async def start(
        self, host: str | None = None, port: int = 0, *, sock: socket.socket | None = None
    ) -> None:
        """Listen on an address or on an inherited socket; OSError when that cannot be."""
        if sock is not None:
            self._server = await asyncio.start_server(self._serve, sock=sock)
        else:
            self._server = await asyncio.start_server(self._serve, host, port)

    @property
    def port(self) -> int:
        """The TCP port in use (0 was asked for in tests)."""
        if self._server is None:
            raise RuntimeError("the server was not started")
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                event = await _next(connection, reader)
                if isinstance(event, h11.Request):
                    peer = writer.get_extra_info("peername")
                    response = await self._answer(_request(event, peer))
                    await _send(connection, writer, response)
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            log.debug("http: %s", error)
        finally:
            writer.close()

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except Exception:
            log.exception("http: %s %s failed", request.method, request.target)
            return Response(500, b"internal error, see the log\n")


async def get(
    target: str,
    *,
    unix: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 80,
    timeout: float = 5.0,  # noqa: ASYNC109 - a bound on the whole exchange
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Make one request over a unix socket or TCP; OSError or TimeoutError when it fails.

    Also when the answer has more than 64 MiB.
    """
    async with asyncio.timeout(timeout):
        if unix is not None:
            reader, writer = await asyncio.open_unix_connection(str(unix))
        else:
            reader, writer = await asyncio.open_connection(host, port)
        try:
            connection = h11.Connection(h11.CLIENT)
            fields = {"host": "localhost", "connection": "close", **(headers or {})}
            writer.write(
                connection.send(
                    h11.Request(method=method, target=target, headers=list(fields.items()))
                )
                or b""
            )
            writer.write(connection.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            return await _receive(connection, reader)
        except h11.ProtocolError as error:
            raise ConnectionError(f"not HTTP: {error}") from error
        finally:
            writer.close()


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(await reader.read(_CHUNK))


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> Response:
    status, fields, body = 0, {}, bytearray()
    while True:
        event = await _next(connection, reader)
        if isinstance(event, h11.Response):
            status = event.status_code
            fields = {k.decode().lower(): v.decode("latin-1") for k, v in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MOST_BYTES:
                raise ConnectionError(f"expected at most {_MOST_BYTES} bytes, found more")
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return Response(status, bytes(body), fields.get("content-type", ""), fields)


async def _send(
    connection: h11.Connection, writer: asyncio.StreamWriter, response: Response
) -> None:
    fields = {
        "content-type": response.content_type,
        "content-length": str(len(response.body)),
        "connection": "close",
        **response.headers,
    }
    head = h11.Response(status_code=response.status, headers=list(fields.items()))
    for event in (head, h11.Data(data=response.body), h11.EndOfMessage()):
        writer.write(connection.send(event) or b"")
    await writer.drain()


def _request(event: h11.Request, peer: object) -> Request:
    return Request(
        event.method.decode(),
        event.target.decode("latin-1"),
        {k.decode().lower(): v.decode("latin-1") for k, v in event.headers},
        str(peer[0]) if isinstance(peer, tuple) else "",
    )
