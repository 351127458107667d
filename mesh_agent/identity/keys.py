# SPDX-License-Identifier: Apache-2.0
"""Keys, requests and certificate details, through the short-lived worker process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from mesh_agent.ahead import start_key_worker
from mesh_agent.identity.model import CertificateDetails, IdentityError
from mesh_core.apart import Apart

_SECONDS = 30.0


class KeyWorker:
    """Talks to one worker process, which is there from the first order on; see `open_worker`."""

    def __init__(self, waiting: Apart | None) -> None:
        self._child = waiting
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def new_request(self, spiffe_id: str) -> tuple[bytes, bytes]:
        """Return a new private key and a certificate request for it, both PEM."""
        done = await self._order({"do": "request", "spiffe_id": spiffe_id})
        return str(done["key"]).encode(), str(done["csr"]).encode()

    async def read(self, key_pem: bytes, chain_pem: bytes) -> CertificateDetails:
        """Describe the first certificate; IdentityError if unreadable or not of this key."""
        done = await self._order(
            {"do": "read", "key": key_pem.decode(), "chain": chain_pem.decode()}
        )
        names = done["spiffe_ids"]
        if not isinstance(names, list) or len(names) != 1:
            raise IdentityError(f"the certificate names {names}, expected one SPIFFE id")
        if not done["key_matches"]:
            raise IdentityError("the certificate is not for the private key beside it")
        return CertificateDetails(
            spiffe_id=str(names[0]),
            serial=str(done["serial"]),
            not_before=datetime.fromisoformat(str(done["not_before"])),
            not_after=datetime.fromisoformat(str(done["not_after"])),
        )

    async def _order(self, order: Mapping[str, str]) -> dict[str, object]:
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await self._connect()
                writer.write(json.dumps(order).encode() + b"\n")
                await writer.drain()
                line = await reader.readline()
        except TimeoutError as error:
            raise IdentityError(f"the key worker gave no answer in {_SECONDS:g} seconds") from error
        except ConnectionError:
            line = b""
        if not line:
            raise IdentityError("the key worker ended before its answer; see the log")
        done: dict[str, object] = json.loads(line)
        if "error" in done:
            raise IdentityError(str(done["error"]))
        return done

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            if self._child is None or not self._child.alive:
                self.end()
                self._child = start_key_worker()
            self._streams = await asyncio.open_unix_connection(sock=self._child.channel)
        return self._streams

    def end(self) -> None:
        """End the process, if there is one."""
        if self._streams is not None:
            self._streams[1].transport.abort()
        if self._child is not None:
            self._child.end()


class Spare:
    """A worker that was started ahead, before it was known whether there is an order for it.

    It is ended when there is none in time.
    """

    def __init__(self, child: Apart, seconds: float = _SECONDS) -> None:
        self._child: Apart | None = child
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end)

    def take(self) -> Apart | None:
        """Return the process, which is the caller's now; None when it was taken or ended."""
        self._timer.cancel()
        child, self._child = self._child, None
        return child

    def end(self) -> None:
        """End it, unless it was taken."""
        if child := self.take():
            child.end()


@asynccontextmanager
async def open_worker(waiting: Apart | None = None) -> AsyncIterator[KeyWorker]:
    """Yield a worker, the one that is ``waiting`` if it lives, and end it whatever happens.

    Another one is started at the first order: one that waits for the control plane would end.
    """
    worker = KeyWorker(waiting)
    try:
        yield worker
    finally:
        worker.end()
