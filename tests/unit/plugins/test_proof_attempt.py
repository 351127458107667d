# SPDX-License-Identifier: GPL-3.0-or-later
"""Real calls to small servers on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof import attempt as seen
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.attempt import make_attempt
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.dial import (
    PROOF_PORTS,
    Deadline,
    ProofPorts,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.target import parse_target

Serve = Callable[[socket.socket], None]
Server = Callable[[Serve], int]


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    """Both families, as a host in a URL."""
    address = str(request.param)
    if ":" not in address:
        return address
    try:
        with socket.create_server((address, 0), family=socket.AF_INET6):
            return f"[{address}]"
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest.fixture
def serve(host: str) -> Iterator[Server]:
    """Starts a server that hands each connection to a function; returns its port."""
    with contextlib.ExitStack() as stack:

        def start(handle: Serve) -> int:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host.strip("[]"), 0), family=family)
            stack.callback(listener.close)

            def loop() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, address = listener.accept()
                        with connection:
                            assert address[1] in PROOF_PORTS
                            handle(connection)

            thread = threading.Thread(target=loop, daemon=True)
            thread.start()
            stack.callback(thread.join, 5)
            # Closing does not wake up who accepts; shutting down does.
            stack.callback(listener.shutdown, socket.SHUT_RDWR)
            return int(listener.getsockname()[1])

        yield start


def _call(url: str, timeout: float = 5) -> seen.Attempt:
    return make_attempt(parse_target(url), ProofPorts(0), timeout)


def _http(status: str, body: str, more: str = "") -> Serve:
    def handle(connection: socket.socket) -> None:
        request = connection.recv(4096)
        assert request.startswith(b"GET /some?path HTTP/1.1\r\n"), request
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        connection.sendall((head + body).encode())

    return handle


def _reset(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _close(connection: socket.socket) -> None:
    connection.recv(4096)


def _say(answer: bytes) -> Serve:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return handle


def _postgres(second: bytes) -> Serve:
    def handle(connection: socket.socket) -> None:
        assert connection.recv(8) == struct.pack("!II", 8, 80877103)
        connection.sendall(b"N")
        startup = connection.recv(4096)
        assert b"user\0shop\0database\0orders\0\0" in startup
        connection.sendall(second)
        connection.recv(1)

    return handle


def test_http_answer(serve: Server, host: str) -> None:
    port = serve(_http("200 OK", '{"version": "v1"}'))
    found = _call(f"http://{host}:{port}/some?path")
    assert (found.kind, found.status, found.reason) == (seen.ANSWERED, 200, "HTTP 200")
    assert found.body == '{"version": "v1"}'
    assert found.port in PROOF_PORTS
    assert found.began <= found.ended


def test_http_answer_of_an_old_server_that_closes(serve: Server, host: str) -> None:
    port = serve(_say(b"HTTP/1.0 403 Forbidden\r\n\r\nRBAC: access denied"))
    found = _call(f"http://{host}:{port}/")
    assert (found.kind, found.status, found.body) == (seen.ANSWERED, 403, "RBAC: access denied")


def test_chunks(serve: Server, host: str) -> None:
    chunks = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    port = serve(_say(chunks))
    assert _call(f"http://{host}:{port}/").body == "abcde"


@pytest.mark.parametrize("scheme", ["http", "postgres", "tcp"])
@pytest.mark.parametrize(
    ("handle", "reason"),
    [
        (_reset, "connected, then reset without an answer"),
        (_close, "connected, then closed without an answer"),
        (
            _say(b"\x15\x03\x03\x00\x02\x02\x74"),
            "connected, then refused by a TLS alert: certificate required",
        ),
    ],
    ids=["reset", "closed", "alert"],
)
def test_what_counts_as_closed(
    serve: Server, host: str, scheme: str, handle: Serve, reason: str
) -> None:
    found = _call(f"{scheme}://{host}:{serve(handle)}")
    assert (found.kind, found.reason) == (seen.CLOSED, reason)
    assert found.port in PROOF_PORTS


@pytest.mark.parametrize("scheme", ["http", "postgres", "tcp"])
def test_silence(serve: Server, host: str, scheme: str) -> None:
    done = threading.Event()
    found = _call(
        f"{scheme}://{host}:{serve(lambda _connection: bool(done.wait(5)) and None)}", 0.2
    )
    done.set()
    assert (found.kind, found.reason) == (seen.SILENT, "connected, but no answer within 0.2 s")


def test_nothing_listens(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host.strip("[]"), 0), family=family) as listener:
        port = listener.getsockname()[1]
    found = _call(f"tcp://{host}:{port}")
    assert (found.kind, found.port) == (seen.CLOSED, None)
    assert f"port {port} refused the connection: nothing listens there" in found.reason


@pytest.mark.parametrize(
    ("second", "body"),
    [
        (b"R" + struct.pack("!II", 23, 10), "PostgreSQL, asks for SASL"),
        (b"R" + struct.pack("!II", 8, 0), "PostgreSQL, lets the user in without a password"),
        (
            b"E" + struct.pack("!I", 26) + b"SFATAL\0Mno such role\0\0",
            "PostgreSQL, no such role",
        ),
    ],
)
def test_postgres(serve: Server, host: str, second: bytes, body: str) -> None:
    payload = second if second[:1] == b"E" else second.ljust(24, b"\0")
    found = _call(f"postgres://shop@{host}:{serve(_postgres(payload))}/orders")
    assert (found.kind, found.body, found.status) == (seen.ANSWERED, body, None)


def test_postgres_with_tls(serve: Server, host: str) -> None:
    assert _call(f"postgres://{host}:{serve(_say(b'S'))}").body == "PostgreSQL, offers TLS"


def test_tcp_answer(serve: Server, host: str) -> None:
    found = _call(f"tcp://{host}:{serve(_say(b'SSH-2.0-x' + bytes([13, 10]) + b'more'))}")
    assert (found.kind, found.reason) == (seen.ANSWERED, "SSH-2.0-x")


@pytest.mark.parametrize(
    ("scheme", "answer", "reason"),
    [
        ("http", b"220 mail ready\r\n", "the answer is not HTTP: '220 mail ready"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "breaks off after 3 bytes"),
        ("postgres", b"HTTP/1.1 400 Bad Request\r\n\r\n", "the answer is not PostgreSQL's"),
    ],
)
def test_the_wrong_protocol(
    serve: Server, host: str, scheme: str, answer: bytes, reason: str
) -> None:
    found = _call(f"{scheme}://{host}:{serve(_say(answer))}")
    assert found.kind == seen.GARBLED
    assert reason in found.reason


def test_a_name_that_does_not_resolve() -> None:
    found = _call("http://no-such-host.invalid/")
    assert (found.kind, found.port) == (seen.UNREACHED, None)
    assert "the name no-such-host.invalid does not resolve on this host" in found.reason


def test_more_calls_than_ports(serve: Server, host: str) -> None:
    port = serve(_http("200 OK", "x"))
    ports = ProofPorts(0)
    target = parse_target(f"http://{host}:{port}/some?path")
    found = [make_attempt(target, ports, 5) for _number in range(len(PROOF_PORTS) + 20)]
    assert {attempt.kind for attempt in found} == {seen.ANSWERED}
    assert {attempt.port for attempt in found} == set(PROOF_PORTS)


def test_a_port_that_is_taken_is_passed_over(serve: Server, host: str) -> None:
    port = serve(_http("200 OK", "x"))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host.strip("[]"), PROOF_PORTS[0]), family=family):
        assert _call(f"http://{host}:{port}/some?path").port == PROOF_PORTS[1]


def test_no_port_is_free(serve: Server, host: str) -> None:
    port = serve(_close)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.create_server((host.strip("[]"), PROOF_PORTS[0]), family=family),
        pytest.raises(OSError, match="none of the source ports"),
    ):
        make_attempt(parse_target(f"tcp://{host}:{port}"), ProofPorts(0, PROOF_PORTS[:1]), 5)


def test_a_deadline_passes() -> None:
    now = [10.0]
    deadline = Deadline(2, lambda: now[0])
    now[0] = 11.5
    assert deadline.left() == 0.5
    now[0] = 12.0
    with pytest.raises(TimeoutError, match="no answer within 2 s"):
        deadline.left()
