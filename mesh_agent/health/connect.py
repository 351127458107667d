# SPDX-License-Identifier: Apache-2.0
"""Where probes come from.

Connections from 127.0.0.6 (and ::6) to this host pass the redirection untouched, so a probe meets
the application and not Envoy. Envoy's own connections to the application look the same.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from collections.abc import Collection

from mesh_agent.health.result import Unhealthy
from mesh_agent.redirect.ports import ENVOY_SOURCE_IPV4, ENVOY_SOURCE_IPV6


async def connect(host: str, port: int, own_addresses: Collection[str]) -> socket.socket:
    """Return a connected, non-blocking socket; Unhealthy when the port cannot be reached.

    Only calls to this host (loopback and ``own_addresses``) can come from the special address.
    """
    loop = asyncio.get_running_loop()
    problem = OSError(errno.EADDRNOTAVAIL, "")
    for family, _kind, _protocol, _canonical, address in await loop.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if _is_own(str(address[0]), own_addresses):
                _bind(sock, family)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    # Asyncio's own text says neither in plain words.
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    raise Unhealthy(f"port {port} of {host} cannot be reached: {reason}") from problem


def _is_own(address: str, own_addresses: Collection[str]) -> bool:
    if address in own_addresses:  # written as the system writes it, most likely
        return True
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed in map(_parse, own_addresses)


def _parse(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _bind(sock: socket.socket, family: int) -> None:
    try:
        source = ENVOY_SOURCE_IPV6 if family == socket.AF_INET6 else ENVOY_SOURCE_IPV4
        sock.bind((source, 0))
    except OSError as error:
        # Without redirection of IPv6 nobody has given ::6 to this host, and nobody needs it.
        if error.errno != errno.EADDRNOTAVAIL:
            raise
