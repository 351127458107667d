# SPDX-License-Identifier: Apache-2.0
"""Ports that are free, and still will be after a restart."""

from __future__ import annotations

import errno
import random
import socket
from contextlib import ExitStack
from pathlib import Path

from lab.cluster.endpoint import LOOPBACK
from lab.errors import LabError

LOWEST = 10000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ATTEMPTS = 200


def free_ports(count: int, *addresses: str) -> list[int]:
    """`count` different TCP ports that nothing on these addresses, or on loopback, listens on.

    They lie below the kernel's range for outgoing connections. Of a port in that range, a client
    that keeps reconnecting while the server is down may become the owner: it connects to itself.
    """
    highest = int(_EPHEMERAL.read_text().split()[0]) - 1
    if highest - LOWEST < count:
        raise LabError(f"{_EPHEMERAL}: outgoing connections may use nearly all ports")
    where = dict.fromkeys((LOOPBACK, *addresses))
    found: list[int] = []
    with ExitStack() as held:
        for _attempt in range(_ATTEMPTS):
            if len(found) == count:
                return found
            port = random.randint(LOWEST, highest)  # noqa: S311 - no secret
            if all(_bound(held, address, port) for address in where):
                found.append(port)
    raise LabError(f"{', '.join(where)}: found only {len(found)} of {count} free ports")


def _bound(held: ExitStack, address: str, port: int) -> bool:
    """Whether the port could be taken there; it is, until `held` is closed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    try:
        listener.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise LabError(f"{address}: cannot be listened on: {error.strerror}") from error
    return True
