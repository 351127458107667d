# SPDX-License-Identifier: Apache-2.0
"""One question to one upstream, over UDP or TCP.

Each has a socket of its own, so that the kernel picks a new, random source port, and an id of its
own (RFC 5452). The sockets are connected: the kernel drops what others send and reports a closed
port at once.
"""

from __future__ import annotations

import asyncio
import os
import socket

from mesh_agent.dns import wire
from mesh_agent.dns.resolvconf import Upstream


async def ask(upstream: Upstream, query: bytes) -> bytes:
    """Return the upstream's answer, with the query's id; OSError when there is none.

    An answer that did not fit into a datagram is fetched over TCP, and stays cut when the upstream
    does not speak TCP. Waits for ever when nothing comes: the caller has the clock.
    """
    answer = await ask_by_udp(upstream, query)
    if wire.is_truncated(answer):
        try:
            answer = await ask_by_tcp(upstream, query)
        except (OSError, EOFError):
            return answer
    return answer


async def ask_by_udp(upstream: Upstream, query: bytes) -> bytes:
    """Send one datagram and return the first answer to it."""
    loop = asyncio.get_running_loop()
    asked = os.urandom(2) + query[2:]
    with _socket(upstream, socket.SOCK_DGRAM) as sock:
        sock.connect(_address(upstream))
        await loop.sock_sendall(sock, asked)
        while True:
            answer = await loop.sock_recv(sock, wire.MAXIMUM_BYTES)
            if wire.is_answer(asked, answer):
                return query[:2] + answer[2:]


async def ask_by_tcp(upstream: Upstream, query: bytes) -> bytes:
    """Ask over a connection of its own; EOFError when it is closed before the answer."""
    asked = os.urandom(2) + query[2:]
    with _socket(upstream, socket.SOCK_STREAM) as sock:
        await asyncio.get_running_loop().sock_connect(sock, _address(upstream))
        await asyncio.get_running_loop().sock_sendall(sock, len(asked).to_bytes(2, "big") + asked)
        length = int.from_bytes(await _receive(sock, 2), "big")
        answer = await _receive(sock, length)
    if not wire.is_answer(asked, answer):
        raise ConnectionError(f"{upstream} answered another question")
    return query[:2] + answer[2:]


async def _receive(sock: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        part = await asyncio.get_running_loop().sock_recv(sock, count - len(received))
        if not part:
            raise EOFError("closed before the answer was whole")
        received += part
    return bytes(received)


def _socket(upstream: Upstream, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if upstream.is_ipv6 else socket.AF_INET
    return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


def _address(upstream: Upstream) -> tuple[str, int] | tuple[str, int, int, int]:
    if not upstream.is_ipv6:
        return upstream.address, upstream.port
    address, _unused, zone = upstream.address.partition("%")
    return address, upstream.port, 0, socket.if_nametoindex(zone) if zone else 0
