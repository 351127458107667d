# SPDX-License-Identifier: Apache-2.0
"""Many datagrams a system call, on real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from mesh_agent.dns import datagrams as datagrams_module
from mesh_agent.dns.datagrams import AT_ONCE, BYTES, Datagrams, can_look_ahead
from mesh_agent.dns.one_by_one import OneByOne

_SO_PEEK_OFF = 42


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A socket that is asked, of either family."""
    family, address = request.param
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.bind((address, 0))
        except OSError as error:
            pytest.skip(f"{address}: {error}")
        yield sock


@pytest.fixture
def clients(server: socket.socket) -> Iterator[list[socket.socket]]:
    """Three that ask."""
    made = [socket.socket(server.family, socket.SOCK_DGRAM) for _ in range(3)]
    for client in made:
        client.connect(server.getsockname())
        client.settimeout(5)
    yield made
    for client in made:
        client.close()


def test_each_answer_goes_to_who_asked(server: socket.socket, clients: list[socket.socket]) -> None:
    datagrams = Datagrams(server)
    for client, query in zip(clients, (b"one", b"two", b"three"), strict=True):
        client.send(query)
    assert datagrams.look() == [b"one", b"two", b"three"]
    assert [datagrams.client(place) for place in range(3)] == [c.getsockname() for c in clients]
    assert datagrams.send([2, 0], [b"to three", b"to one"]) == []
    assert (clients[2].recv(99), clients[0].recv(99)) == (b"to three", b"to one")
    datagrams.take(3)
    with pytest.raises(BlockingIOError):
        datagrams.look()


def test_what_is_not_taken_is_seen_again(
    server: socket.socket, clients: list[socket.socket]
) -> None:
    datagrams = Datagrams(server)
    for number in range(5):
        clients[0].send(b"%d" % number)
    assert len(datagrams.look()) == 5
    datagrams.take(2)
    assert datagrams.look() == Datagrams(server).look() == [b"2", b"3", b"4"]


def test_a_look_is_bounded(server: socket.socket, clients: list[socket.socket]) -> None:
    datagrams = Datagrams(server)
    for number in range(AT_ONCE + 1):
        clients[0].send(b"%d" % number)
    assert len(datagrams.look()) == AT_ONCE
    datagrams.take(AT_ONCE)
    assert datagrams.look() == [b"%d" % AT_ONCE]


def test_large_and_empty_ones_do_not_disturb_the_order(
    server: socket.socket, clients: list[socket.socket]
) -> None:
    datagrams = Datagrams(server)
    sent = [b"", b"x" * 3000, b"y" * BYTES, b"", b"z" * 4096, b"z" * (BYTES + 1), b"last"]
    for query in sent:
        clients[0].send(query)
    assert datagrams.look() == sent
    assert Datagrams(server).look() == [query for query in sent if query]  # as after a kill
    datagrams.take(len(sent))
    with pytest.raises(BlockingIOError):
        datagrams.look()


def test_an_empty_one_that_another_process_looked_at_is_taken_out(
    server: socket.socket, clients: list[socket.socket]
) -> None:
    """The kernel passes over it from then on, but goes on to say that there is something."""
    clients[0].send(b"")
    server.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, 0)
    assert server.recv(1, socket.MSG_PEEK) == b""
    datagrams = Datagrams(server)
    with pytest.raises(BlockingIOError):
        datagrams.look()
    clients[0].send(b"next")
    assert datagrams.look() == [b"next"]
    assert server.recv(9) == b"next"


def test_one_that_cannot_be_sent_to_does_not_keep_the_others(
    server: socket.socket, clients: list[socket.socket]
) -> None:
    datagrams = Datagrams(server)
    for client in clients:
        client.send(b"?")
    datagrams.look()
    at = datagrams._name_bytes + 2
    datagrams._names[at : at + 2] = b"\0\0"  # the second one's port: nothing is sent to port 0
    ((place, error),) = datagrams.send([0, 1, 2], [b"a", b"b", b"c"])
    assert (place, error.errno) == (1, errno.EINVAL)
    assert (clients[0].recv(9), clients[2].recv(9)) == (b"a", b"c")


def test_a_kernel_that_cannot_look_ahead_is_known(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_look_ahead(server)
    monkeypatch.setattr(datagrams_module, "_SO_PEEK_OFF", 9999)
    assert not can_look_ahead(server)


def test_one_by_one_does_the_same(server: socket.socket, clients: list[socket.socket]) -> None:
    datagrams = OneByOne(server)
    with pytest.raises(BlockingIOError):
        datagrams.look()
    for client, query in zip(clients, (b"x" * 3000, b"", b"three"), strict=True):
        client.send(query)
    assert datagrams.look() == [b"x" * 3000, b"", b"three"]
    assert [datagrams.client(place) for place in range(3)] == [c.getsockname() for c in clients]
    ((place, error),) = datagrams.send([1, 2, 0], [b"y" * 70_000, b"to three", b"to one"])
    assert (place, error.errno) == (1, errno.EMSGSIZE)
    assert (clients[2].recv(99), clients[0].recv(99)) == (b"to three", b"to one")
    datagrams.take(3)
    for number in range(AT_ONCE + 1):
        clients[0].send(b"%d" % number)
    assert len(datagrams.look()) == AT_ONCE
    assert datagrams.look() == [b"%d" % AT_ONCE]


class Failing:
    """A socket with one datagram and then an error, as of an earlier reply to nobody."""

    def __init__(self) -> None:
        self._answers: list[bytes | OSError] = [b"one", ConnectionRefusedError(), b"two"]

    def recvfrom(self, _: int) -> tuple[bytes, tuple[str, int]]:
        answer = self._answers.pop(0) if self._answers else BlockingIOError()
        if isinstance(answer, OSError):
            raise answer
        return answer, ("127.0.0.1", 1)


def test_one_by_one_what_was_read_is_not_lost_to_an_error() -> None:
    datagrams = OneByOne(Failing())  # type: ignore[arg-type]
    assert datagrams.look() == [b"one"]
    assert datagrams.look() == [b"two"]
    with pytest.raises(BlockingIOError):
        datagrams.look()
