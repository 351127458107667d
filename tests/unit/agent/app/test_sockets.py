# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_agent import sockets
from mesh_agent.settings import Paths
from mesh_core.errors import MeshError


@pytest.fixture
def held(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """What a socket unit would hold, in no particular order."""
    paths = Paths(run=tmp_path)
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        xds = stack.enter_context(sockets.bind_unix(paths.xds_socket))
        sds = stack.enter_context(sockets.bind_unix(paths.sds_socket))
        for sock in (tcp, udp):
            sock.bind(("127.0.0.1", 0))
        yield [udp, xds, tcp, sds]


def test_inherited_ones_are_told_apart(held: list[socket.socket], tmp_path: Path) -> None:
    udp, xds, tcp, sds = held
    found = sockets.sort(held, Paths(run=tmp_path), dns=True)
    assert found == sockets.Sockets(sds, xds, (udp, tcp))


def test_a_missing_one_is_named(held: list[socket.socket], tmp_path: Path) -> None:
    udp, xds, tcp, sds = held
    with pytest.raises(
        MeshError, match=r"mesh-agent.socket: expected .*sds.sock, found .*xds.sock"
    ):
        sockets.sort([udp, xds, tcp], Paths(run=tmp_path), dns=True)
    with pytest.raises(MeshError, match="found none"):
        sockets.sort([udp, tcp], Paths(run=tmp_path), dns=True)
    with pytest.raises(MeshError, match="expected a UDP and a TCP socket for DNS"):
        sockets.sort([xds, sds, udp], Paths(run=tmp_path), dns=True)
    assert sockets.sort([xds, sds], Paths(run=tmp_path), dns=False).dns == ()


def test_its_own_are_for_the_group_and_replace_stale_ones(tmp_path: Path) -> None:
    paths = Paths(run=tmp_path)
    for _ in range(2):
        found = sockets.bind(paths, dns=False)
        assert found.dns == ()
        assert paths.xds_socket.stat().st_mode & 0o777 == 0o660
        assert not found.xds.getblocking()
        found.sds.close()
        found.xds.close()


def test_a_place_where_it_cannot_listen_is_named(tmp_path: Path) -> None:
    (tmp_path / "mesh-agent").write_text("a file")
    with pytest.raises(MeshError, match=r"sds.sock: cannot listen: (Not a directory|File exists)"):
        sockets.bind(Paths(run=tmp_path), dns=False)
