# SPDX-License-Identifier: Apache-2.0
"""A UDP socket, one datagram a system call: for kernels that cannot look ahead in its queue."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from mesh_agent.dns.datagrams import AT_ONCE, Address
from mesh_agent.dns.wire import MAXIMUM_BYTES


class OneByOne:
    """What `mesh_agent.dns.datagrams.Datagrams` does, but what is looked at is taken out at once.

    So a kill loses the questions that were read and not answered yet; clients ask again.
    """

    def __init__(self, sock: socket.socket) -> None:
        """``sock`` is a non-blocking UDP one and stays the caller's."""
        self._socket = sock
        self._clients: list[Address] = []

    def look(self) -> list[bytes]:
        """Return what waits, oldest first; OSError."""
        self._clients = []
        queries: list[bytes] = []
        while len(queries) < AT_ONCE:
            try:
                query, client = self._socket.recvfrom(MAXIMUM_BYTES)
            except OSError:  # nothing more, or an error that is gone now: first what was read
                if queries:
                    break
                raise
            queries.append(query)
            self._clients.append(client)
        return queries

    def client(self, place: int) -> Address:
        """Return who sent the datagram at ``place`` of the last look."""
        return self._clients[place]

    def send(self, places: Sequence[int], replies: Sequence[bytes]) -> list[tuple[int, OSError]]:
        """Send ``replies`` to the clients at ``places``; return where that failed, and why."""
        failed = []
        for place, reply in zip(places, replies, strict=True):
            try:
                self._socket.sendto(reply, self._clients[place])
            except OSError as error:
                failed.append((place, error))
        return failed

    def take(self, count: int) -> None:
        """Do nothing: they are out of the socket."""
