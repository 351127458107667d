# SPDX-License-Identifier: Apache-2.0
"""gRPC with bytes as messages, over grpclib.

grpclib and not grpcio: it serves on sockets inherited from systemd, reads client certificates at
each connection through the ssl module, and keeps a resident process small. Messages pass as bytes
so that a relay need not know their types; whoever wants a message parses it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from grpclib.client import Channel, Stream, StreamStreamMethod, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server
from grpclib.server import Stream as ServerStream

BytesStream: TypeAlias = ServerStream[bytes, bytes]
ClientStream: TypeAlias = Stream[bytes, bytes]
StreamHandler = Callable[[BytesStream], Awaitable[None]]


class RawCodec(CodecBase):
    """Leaves messages as the bytes that they are."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        """Return the message, which is bytes already."""
        return bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Any:
        """Return the bytes."""
        return data


class _Service:
    """What grpclib calls a servable: a mapping from paths to handlers."""

    def __init__(self, mapping: Mapping[str, Handler]) -> None:
        self._mapping = mapping

    def __mapping__(self) -> Mapping[str, Handler]:
        return self._mapping


def server(
    *, streams: Mapping[str, StreamHandler], unary: Mapping[str, StreamHandler] | None = None
) -> Server:
    """Make a server; keys are full paths (``/package.Service/Method``).

    A unary handler receives the same stream object and answers with one ``send_message``.
    """
    mapping = {
        path: Handler(handler, Cardinality.STREAM_STREAM, bytes, bytes)
        for path, handler in streams.items()
    }
    mapping |= {
        path: Handler(handler, Cardinality.UNARY_UNARY, bytes, bytes)
        for path, handler in (unary or {}).items()
    }
    return Server([_Service(mapping)], codec=RawCodec(), config=_configuration())


def unix_channel(path: Path) -> Channel:
    """Make a client for a server on a unix socket; connects at the first call."""
    return Channel(path=str(path), codec=RawCodec(), config=_configuration())


def tls_channel(host: str, port: int, context: ssl.SSLContext, server_name: str) -> Channel:
    """Make a client for ``host:port`` that expects ``server_name`` in the certificate (and SNI)."""
    return Channel(
        host, port, ssl=context, codec=RawCodec(), config=_configuration(server_name=server_name)
    )


@contextmanager
def awake() -> Iterator[None]:
    """Leave the task with no cancellation of grpclib's, which makes its calls inside.

    grpclib wakes up whoever waits on a connection that is lost by cancelling it. It raises an error
    of its own instead of CancelledError, but the task goes on counting the request. Then
    asyncio.timeout lets CancelledError out where TimeoutError belongs, before Python 3.11.3
    (gh-102780), and a task that nobody cancelled ends without a word.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        raise  # somebody's own
    except BaseException:
        _take_back(task, before)
        raise
    _take_back(task, before)


def _take_back(task: asyncio.Task[Any] | None, before: int) -> None:
    while task and task.cancelling() > before:
        task.uncancel()


@asynccontextmanager
async def open_stream(
    channel: Channel, path: str, metadata: Mapping[str, str] | None = None
) -> AsyncIterator[ClientStream]:
    """Yield a bidirectional stream."""
    method: StreamStreamMethod[bytes, bytes] = StreamStreamMethod(channel, path, bytes, bytes)
    with awake():
        async with method.open(metadata=metadata) as stream:
            yield stream


async def call(
    channel: Channel,
    path: str,
    request: bytes,
    *,
    metadata: Mapping[str, str] | None = None,
    timeout: float,  # noqa: ASYNC109 - becomes the gRPC deadline
) -> bytes:
    """Make a unary call; raises grpclib.exceptions.GRPCError or OSError."""
    method: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(channel, path, bytes, bytes)
    with awake():
        async with asyncio.timeout(timeout):
            return bytes(await method(request, metadata=metadata, timeout=timeout))


def client_tls(
    root: Path, *, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return TLS for calls to a control plane that ``root`` vouches for.

    Raises OSError or ssl.SSLError when a file cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(root))
    return _http2(context, certificate, key)


def server_tls(certificate: Path, key: Path, root: Path) -> ssl.SSLContext:
    """Return TLS for a control plane: client certificates are checked when given, not required."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(root))
    context.verify_mode = ssl.CERT_OPTIONAL
    return _http2(context, certificate, key)


def peer_uris(stream: BytesStream) -> tuple[str, ...]:
    """Return the URI names of the verified client certificate; empty without one."""
    certificate = stream.peer.cert() if stream.peer else None
    names = (certificate or {}).get("subjectAltName", ())
    return tuple(value for kind, value in names if kind == "URI")


def _http2(context: ssl.SSLContext, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


def _configuration(server_name: str | None = None) -> Configuration:
    return Configuration(
        ssl_target_name_override=server_name,
        _keepalive_time=30.0,
        _keepalive_timeout=10.0,
        _keepalive_permit_without_calls=True,
        # Without these grpclib stops asking an idle peer, and one that lost its power stays.
        _http2_max_pings_without_data=0,
        _http2_min_sent_ping_interval_without_data=25,
    )
