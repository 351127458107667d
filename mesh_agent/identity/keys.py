# SPDX-License-Identifier: Apache-2.0
"""Keys, requests and certificate details, through the short-lived worker process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from mesh_agent.identity.model import CertificateDetails, IdentityError

_SECONDS = 30.0


class KeyWorker:
    """Talks to one worker process; see `open_worker`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

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
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the worker was started without pipes")
        async with asyncio.timeout(_SECONDS):
            stdin.write(json.dumps(order).encode() + b"\n")
            await stdin.drain()
            line = await stdout.readline()
        if not line:
            raise IdentityError("the key worker ended before its answer; see the log")
        done: dict[str, object] = json.loads(line)
        if "error" in done:
            raise IdentityError(str(done["error"]))
        return done


@asynccontextmanager
async def open_worker() -> AsyncIterator[KeyWorker]:
    """Start a worker and end it afterwards, whatever happens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mesh_agent.identity.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # A launcher may have put the runtime on sys.path by other means than the environment.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        yield KeyWorker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
