# SPDX-License-Identifier: Apache-2.0
"""The agent's listening sockets: held by systemd, so that they outlive it, or bound by itself."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mesh_agent.settings import Paths
from mesh_core.errors import MeshError

DNS_ADDRESS = ("127.0.0.1", 15053)
_ENVOYS_MODE = 0o660


@dataclass(frozen=True, slots=True)
class Sockets:
    """``sds`` and ``xds`` are unix stream sockets for Envoy, ``dns`` UDP and TCP ones."""

    sds: socket.socket
    xds: socket.socket
    dns: tuple[socket.socket, ...]


def sort(inherited: Iterable[socket.socket], paths: Paths, *, dns: bool) -> Sockets:
    """Tell inherited sockets apart by family and address; MeshError names what is missing."""
    unix: dict[str, socket.socket] = {}
    names: list[socket.socket] = []
    for sock in inherited:
        if sock.family == socket.AF_UNIX:
            unix[str(sock.getsockname())] = sock
        else:
            names.append(sock)
    if dns and {sock.type for sock in names} != {socket.SOCK_DGRAM, socket.SOCK_STREAM}:
        raise MeshError("mesh-agent.socket: expected a UDP and a TCP socket for DNS, found less")
    found = []
    for path in (paths.sds_socket, paths.xds_socket):
        if str(path) not in unix:
            held = ", ".join(unix) or "none"
            raise MeshError(f"mesh-agent.socket: expected the unix socket {path}, found {held}")
        found.append(unix[str(path)])
    return Sockets(found[0], found[1], tuple(names))


def bind(paths: Paths, *, dns: bool) -> Sockets:
    """Bind them for an agent that runs without a socket unit; MeshError says what failed."""
    sds, xds = bind_unix(paths.sds_socket), bind_unix(paths.xds_socket)
    return Sockets(sds, xds, tuple(_dns_sockets()) if dns else ())


def bind_unix(path: Path) -> socket.socket:
    """Bind a unix socket that Envoy's group may use, in place of one that was left there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        path.chmod(_ENVOYS_MODE)
    except OSError as error:
        sock.close()
        raise MeshError(f"{path}: cannot listen: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _dns_sockets() -> Iterable[socket.socket]:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        sock = socket.socket(socket.AF_INET, kind)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(DNS_ADDRESS)
        except OSError as error:
            host, port = DNS_ADDRESS
            raise MeshError(f"{host}:{port}: cannot listen: {error.strerror}") from error
        sock.setblocking(False)
        yield sock
