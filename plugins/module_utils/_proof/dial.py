# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A connection whose source port is a proof port.

The outbound listeners of a mesh proxy log what became of connections from these ports, so the
port is the thread that leads from a call to its evidence.
"""

from __future__ import annotations

import errno
import socket
import time
import typing as t
from dataclasses import dataclass

#: Source ports whose connections leave evidence in the proxy's proof log.
PROOF_PORTS = range(15900, 16000)

_PORT_TAKEN = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)


class UnreachableError(Exception):
    """Nothing came back: no such name, no route, or no answer in time."""


class RefusedError(Exception):
    """The other side, or something on the way, said no."""


class Deadline:
    """A point in time until which a whole call has to be over."""

    def __init__(self, seconds: float, clock: t.Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds left, above zero; socket.timeout when there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise socket.timeout(f"no answer within {self.seconds:g} s")
        return left


class ProofPorts:
    """Hands out the proof ports in turn, so that a port rests as long as possible after use."""

    def __init__(self, first: int, ports: range = PROOF_PORTS) -> None:
        self._ports = ports
        self._next = first % len(ports)

    def __len__(self) -> int:
        return len(self._ports)

    def take(self) -> int:
        port = self._ports[self._next]
        self._next = (self._next + 1) % len(self._ports)
        return port


@dataclass(frozen=True)
class Connection:
    """An open socket, the proof port that it comes from and the address that it reached."""

    sock: socket.socket
    port: int
    address: str


def dial(host: str, port: int, ports: ProofPorts, deadline: Deadline) -> Connection:
    """Connects as the host itself would: its resolver, its order of addresses, the first that
    answers. Raises RefusedError, UnreachableError; OSError when no proof port is free.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreachableError(f"the name {host} does not resolve on this host: {text}") from error
    problems: list[Exception] = []
    for family, _type, _protocol, _canonical, address in found:
        try:
            sock, source = _connect(family, address, ports, deadline)
        except (RefusedError, UnreachableError) as error:
            problems.append(error)
        else:
            return Connection(sock, source, str(address[0]))
    text = "; ".join(str(problem) for problem in problems)
    # One address that says no is an answer, whatever the others do.
    if any(isinstance(problem, RefusedError) for problem in problems):
        raise RefusedError(text)
    raise UnreachableError(text)


def _connect(
    family: int, address: t.Any, ports: ProofPorts, deadline: Deadline
) -> tuple[socket.socket, int]:
    for _attempt in range(len(ports)):
        source = ports.take()
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", source))  # noqa: S104
            sock.settimeout(deadline.left())
            sock.connect(address)
        except OSError as error:
            sock.close()
            if error.errno in _PORT_TAKEN:
                continue
            raise _meaning(error, address) from error
        return sock, source
    first, last = PROOF_PORTS[0], PROOF_PORTS[-1]
    raise OSError(
        errno.EADDRINUSE,
        f"none of the source ports {first}-{last} is free to reach {address[0]}",
    )


def _meaning(error: OSError, address: t.Any) -> Exception:
    where = f"{address[0]} port {address[1]}"
    if isinstance(error, socket.timeout):
        return UnreachableError(f"{where} did not accept the connection in time")
    if error.errno == errno.ECONNREFUSED:
        return RefusedError(f"{where} refused the connection: nothing listens there")
    if error.errno == errno.ECONNRESET:
        return RefusedError(f"{where} reset the connection while it was made")
    if error.errno in _NO_ROUTE:
        return UnreachableError(f"{where} cannot be reached: {error.strerror}")
    return UnreachableError(f"{where}: {error.strerror or error}")
