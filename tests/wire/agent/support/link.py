# SPDX-License-Identifier: Apache-2.0
"""A way to a control plane that the test can obstruct: bytes are held back, connections cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Link:
    """Forwards TCP connections from ``address``, a loopback port, to a control plane."""

    def __init__(self, to: str) -> None:
        self._host, _, port = to.rpartition(":")
        self._port = int(port)
        self.address = ""
        self.connections = 0  # since the start
        self.held = 0  # bytes that wait to go up
        self._open: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    def hold(self) -> None:
        """Leave the control plane deaf: hellos go up, so that TLS comes about, and nothing more."""
        self._passes.clear()

    def release(self) -> None:
        """Let what was held, and all that comes, pass."""
        self._passes.set()

    def cut(self) -> None:
        """End all connections, as a lost route does once it is noticed."""
        for connection in self._open:
            connection.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        task = asyncio.current_task()
        assert task
        self.connections += 1
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                up_reader, up_writer = await asyncio.open_connection(self._host, self._port)
                try:
                    async with asyncio.TaskGroup() as ways:
                        ways.create_task(self._carry(reader, up_writer, up=True))
                        ways.create_task(self._carry(up_reader, writer, up=False))
                except* (OSError, EOFError):
                    pass
                finally:
                    up_writer.transport.abort()
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def _carry(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, up: bool
    ) -> None:
        first = True
        while data := await source.read(65536):
            if up and not first:
                self.held += len(data)
                await self._passes.wait()
                self.held -= len(data)
            first = False
            target.write(data)
            await target.drain()
        raise EOFError


@asynccontextmanager
async def linked(to: str) -> AsyncIterator[Link]:
    """Run a link to HOST:PORT."""
    link = Link(to)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield link
    finally:
        server.close()
        link.cut()
        await server.wait_closed()
