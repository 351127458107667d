# SPDX-License-Identifier: Apache-2.0
"""A control plane that signs a few certificates at a time, and has no streams: a scripted one."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from typing import Any, Final

from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

from mesh_core import pki
from mesh_core.wire import messages, rpc, types
from mesh_core.wire.rpc import BytesStream

_NAME: Final = "istiod.istio-system.svc"
_LIFETIME: Final = datetime.timedelta(hours=1)


class Plane:
    """Serves CreateCertificate over TLS on a loopback port, and refuses streams.

    Tokens are used once.
    """

    def __init__(self, directory: Path) -> None:
        self.authority = pki.Authority.open(directory / "ca", "cluster.local")
        self.root = directory / "ca" / "root-cert.pem"
        self.address = ""
        self.tokens: dict[str, str] = {}  # token -> SPIFFE id
        self.certificates_per_second: float | None = None  # beyond that it has too much to do
        self.asked = self.signed = self.streams = 0
        self._free_at = 0.0
        self._directory = directory
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen."""
        key = pki.new_key()
        chain = self.authority.issue(
            pki.new_csr(key, "spiffe://x/ns/x/sa/x"), dns=[_NAME], lifetime=_LIFETIME
        )
        files = self._directory / "server.pem", self._directory / "server-key.pem"
        files[0].write_text("".join(chain[:-1]))
        files[1].write_bytes(key)
        self._server = rpc.server(
            streams={types.ADS_DELTA: self._refuse}, unary={types.CREATE_CERTIFICATE: self._create}
        )
        await self._server.start("127.0.0.1", 0, ssl=rpc.server_tls(*files, self.root))
        inner: Any = self._server._server
        self.address = f"127.0.0.1:{inner.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """End, with all connections."""
        assert self._server
        self._server.close()
        for handler in self._server._handlers:
            await handler.wait_closed()

    async def _create(self, stream: BytesStream) -> None:
        request = messages.IstioCertificateRequest.FromString(await stream.recv_message() or b"")
        self.asked += 1
        now = asyncio.get_running_loop().time()
        if now < self._free_at:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "too many requests")
        if self.certificates_per_second:
            self._free_at = now + 1 / self.certificates_per_second
        token = str((stream.metadata or {}).get("authorization", "")).removeprefix("Bearer ")
        if token not in self.tokens:
            raise GRPCError(Status.UNAUTHENTICATED, "the token is not known")
        uris = (self.tokens.pop(token),)
        chain = self.authority.issue(request.csr.encode(), uris=uris, lifetime=_LIFETIME)
        self.signed += 1
        answer = messages.IstioCertificateResponse(cert_chain=chain)
        await stream.send_message(answer.SerializeToString())

    async def _refuse(self, stream: BytesStream) -> None:
        self.streams += 1
        raise GRPCError(Status.UNAVAILABLE, "not now")
