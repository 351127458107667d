# SPDX-License-Identifier: Apache-2.0
"""A control plane that does what a test tells it: refuse, be silent, vanish, send nonsense.

What a well-behaved one does is tested with the embedded one; this is for the others.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from mesh_core import pki
from mesh_core.wire import messages, rpc, types
from mesh_core.wire.rpc import BytesStream
from tests.wire.agent.support.streams import Streams

NAME = "istiod.istio-system.svc"


class Plane(Streams):
    """Serves CreateCertificate and delta ADS over TLS on a loopback port that it keeps."""

    def __init__(self, directory: Path, *, server_name: str = NAME) -> None:
        super().__init__()
        self.authority = pki.Authority.open(directory / "ca", "cluster.local")
        self.root = directory / "ca" / "root-cert.pem"
        self.port = 0
        self.tokens: dict[str, str] = {}  # token -> SPIFFE id; used once
        self.lifetime = datetime.timedelta(hours=1)
        self.certificates_per_second: float | None = None  # beyond that it has too much to do
        self._free_at = 0.0
        self.proofs: list[str] = []  # how each caller proved itself: "token" or "certificate"
        self.metadata: list[dict[str, str]] = []
        self._certificate, self._key = directory / "server.pem", directory / "server-key.pem"
        self._server: Server | None = None
        self._issue(server_name)

    async def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        self._server = rpc.server(
            streams={types.ADS_DELTA: self._ads}, unary={types.CREATE_CERTIFICATE: self._create}
        )
        tls = rpc.server_tls(self._certificate, self._key, self.root)
        await self._server.start("127.0.0.1", self.port, ssl=tls)
        inner: Any = self._server._server
        self.port = inner.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Vanish, with all streams."""
        for client in self.clients:
            client.stream._stream.connection.close()  # closing a grpclib server leaves these open
        if self._server:
            self._server.close()
            for handler in self._server._handlers:
                await handler.wait_closed()
            self._server = None

    def _issue(self, server_name: str) -> None:
        key = pki.new_key()
        request = pki.new_csr(key, "spiffe://x/ns/x/sa/x")
        lifetime = datetime.timedelta(hours=1)
        chain = self.authority.issue(request, dns=[server_name], lifetime=lifetime)
        self._key.write_bytes(key)
        self._certificate.write_text("".join(chain[:-1]))

    async def _create(self, stream: BytesStream) -> None:
        request = messages.IstioCertificateRequest.FromString(await stream.recv_message() or b"")
        self.metadata.append({key: str(value) for key, value in (stream.metadata or {}).items()})
        if self.silent:
            await asyncio.get_running_loop().create_future()
        self._be_busy()
        uris = rpc.peer_uris(stream)
        self.proofs.append("certificate" if uris else "token")
        if not uris:
            token = self.metadata[-1].get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                raise GRPCError(Status.UNAUTHENTICATED, "the token is not known")
            uris = (self.tokens.pop(token),)
        chain = self.authority.issue(request.csr.encode(), uris=uris, lifetime=self.lifetime)
        answer = messages.IstioCertificateResponse(cert_chain=chain)
        await stream.send_message(answer.SerializeToString())

    def _be_busy(self) -> None:
        if self.certificates_per_second is None:
            return
        now = asyncio.get_running_loop().time()
        if now < self._free_at:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "too many requests")
        self._free_at = now + 1 / self.certificates_per_second

    async def _ads(self, stream: BytesStream) -> None:
        if not rpc.peer_uris(stream):
            raise GRPCError(Status.UNAUTHENTICATED, "a certificate is needed")
        await self.serve(stream)


async def until(condition: Callable[[], object | Awaitable[object]], seconds: float = 10.0) -> None:
    """Wait for ``condition()`` to hold; what is waited for happens in other tasks and processes."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.005)
