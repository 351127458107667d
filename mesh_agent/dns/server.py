# SPDX-License-Identifier: Apache-2.0
"""The sockets that clients speak to. They are inherited: what was not read yet outlives us."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final, cast

from mesh_agent.dns.counters import Counters
from mesh_agent.dns.datagrams import BYTES as SMALL_BYTES
from mesh_agent.dns.datagrams import Address, Datagrams, can_look_ahead
from mesh_agent.dns.one_by_one import OneByOne

log = logging.getLogger(__name__)

Answer = Callable[[bytes, bool], bytes | None]
"""(query, is a datagram) -> answer; empty: say nothing; None: ask the next one."""
Resolve = Callable[[bytes, bool], Awaitable[bytes]]
"""The one to ask then; it always has an answer."""

_BACKLOG: Final = 1024
_WRITE_AHEAD_BYTES: Final = 65536
"""Of answers to a TCP client that may wait in memory before it is waited for."""
_PIPELINED: Final = 64
"""Questions of one TCP client that may wait for upstreams at one time."""


class UdpServer:
    """Answers datagrams: what the mesh knows at once, the rest as it comes."""

    def __init__(
        self, sock: socket.socket, answer: Answer, resolve: Resolve, counters: Counters
    ) -> None:
        """Take the socket, bound; it stays the caller's."""
        sock.setblocking(False)
        self._socket = sock
        self._datagrams = Datagrams(sock) if can_look_ahead(sock) else OneByOne(sock)
        self._answer = answer
        self._resolve = resolve
        self._counters = counters
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._drain)

    async def close(self, grace: float) -> None:
        """Read no more; give what was read ``grace`` seconds to be answered."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        await _finish(self._tasks, grace)

    def _drain(self) -> None:
        """Answer a bounded number, so that other work of the loop has its turn.

        A question leaves the socket only after its answer, so whoever kills us between the two
        leaves it to the next process. One that has to wait for an upstream leaves it at once.
        """
        try:
            queries = self._datagrams.look()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            log.warning("DNS socket: %s", error)
            return
        answer, places, replies, seen = self._answer, [], [], 0
        try:
            for place, query in enumerate(queries):
                seen += 1
                reply = answer(query, True)
                if reply is None:
                    self._begin(query, self._datagrams.client(place))
                elif len(reply) > SMALL_BYTES:
                    self._send(reply, self._datagrams.client(place))
                elif reply:
                    places.append(place)
                    replies.append(reply)
        finally:
            for place, problem in self._datagrams.send(places, replies):
                self._unsent(self._datagrams.client(place), problem)
            self._datagrams.take(seen)

    def _begin(self, query: bytes, client: Address) -> None:
        task = asyncio.create_task(self._forward(query, client), name="dns client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, query: bytes, client: Address) -> None:
        self._send(await self._resolve(query, True), client)

    def _send(self, reply: bytes, client: Address) -> None:
        try:
            self._socket.sendto(reply, client)
        except OSError as error:
            self._unsent(client, error)

    def _unsent(self, client: Address, error: OSError) -> None:
        """Count it and go on: the client will ask again."""
        self._counters.unsent += 1
        log.debug("DNS answer to %s was not sent: %s", client, error)


class TcpServer:
    """Answers messages with a length before them (RFC 7766), each as soon as it can."""

    def __init__(
        self,
        sock: socket.socket,
        answer: Answer,
        resolve: Resolve,
        *,
        idle_seconds: float,
        connections: int,
    ) -> None:
        """Take the socket, bound; it stays the caller's. ``connections`` is their limit."""
        self._socket = sock
        self._answer = answer
        self._resolve = resolve
        self._idle_seconds = idle_seconds
        self._limit = connections
        self._connections: dict[
            asyncio.Task[None], tuple[asyncio.StreamReader, asyncio.StreamWriter]
        ] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to accept."""
        # asyncio closes the socket it is given.
        self._server = await asyncio.start_server(
            self._accept, sock=self._socket.dup(), backlog=_BACKLOG
        )

    async def close(self, grace: float) -> None:
        """Accept no more; give clients ``grace`` seconds to have their answers."""
        if self._server is not None:
            self._server.close()
        for reader, writer in self._connections.values():
            # A transport that reads on would feed what has ended.
            cast(asyncio.ReadTransport, writer.transport).pause_reading()
            reader.feed_eof()
        await _finish(set(self._connections), grace)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._connections) >= self._limit:
            writer.transport.abort()
            return
        self._connections[task] = reader, writer
        try:
            await self._serve(reader, writer)
        finally:
            del self._connections[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        slots = asyncio.Semaphore(_PIPELINED)
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    async with asyncio.timeout(self._idle_seconds):
                        length = int.from_bytes(await reader.readexactly(2), "big")
                        query = await reader.readexactly(length)
                except (OSError, EOFError, TimeoutError):
                    return
                reply = self._answer(query, False)
                if reply is None:
                    await slots.acquire()
                    group.create_task(self._forward(query, writer, slots))
                elif reply:
                    await self._write(writer, reply)

    async def _forward(
        self, query: bytes, writer: asyncio.StreamWriter, slots: asyncio.Semaphore
    ) -> None:
        try:
            await self._write(writer, await self._resolve(query, False))
        finally:
            slots.release()

    async def _write(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        try:
            writer.write(len(reply).to_bytes(2, "big") + reply)
            if writer.transport.get_write_buffer_size() < _WRITE_AHEAD_BYTES:
                return
            async with asyncio.timeout(self._idle_seconds):
                await writer.drain()
        except OSError as error:  # gone, or it does not read; then reading from it ends as well
            log.debug("DNS answer was not sent: %s", error)
            writer.transport.abort()


async def _finish(tasks: set[asyncio.Task[None]], grace: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=grace)
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
