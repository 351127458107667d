# SPDX-License-Identifier: Apache-2.0
"""Each kind of probe against real servers and programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.health.v1.health_grpc import HealthBase
from grpclib.health.v1.health_pb2 import HealthCheckResponse
from grpclib.server import Server

from mesh_agent.health.probes import make_probe
from mesh_agent.health.result import Unhealthy
from mesh_agent.health.settings import Exec, Grpc, HttpGet, ReadinessProbe, TcpSocket
from mesh_core.pki import Authority, new_csr, new_key

Respond = Callable[[bytes], bytes]


class HttpServer:
    """Answers by path; notes requests and where they came from."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers, self.requests, self.sources = answers, [], []  # type: ignore[var-annotated]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(request)
            self.sources.append(writer.get_extra_info("peername")[0])
            # Nothing for a path without an answer, as for the preface of a gRPC probe.
            writer.write(self.answers.get(request.split()[1], b""))
            await writer.drain()
        writer.close()


def status(code: int, extra: str = "") -> bytes:
    return f"HTTP/1.1 {code} Text\r\n{extra}Content-Length: 0\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def serving(
    answers: dict[str, bytes], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[HttpServer, int]]:
    application = HttpServer(answers)
    server = await asyncio.start_server(application.serve, host, 0, ssl=tls)
    async with server:
        yield application, server.sockets[0].getsockname()[1]


async def probe(addresses: tuple[str, ...] = ("127.0.0.1",), **kind: Any) -> None:
    async with asyncio.timeout(5):
        await make_probe(ReadinessProbe(**kind), addresses)()


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize("code", [200, 204, 299, 304, 399])
async def test_http_is_healthy_below_400(code: int) -> None:
    async with serving({"/": status(code)}) as (_, port):
        await probe(http_get=HttpGet(port))


@pytest.mark.parametrize("code", [400, 404, 500, 503])
async def test_http_is_unhealthy_from_400(code: int) -> None:
    async with serving({"/": status(code)}) as (_, port):
        with pytest.raises(Unhealthy, match=rf"^http://127.0.0.1:{port}/ answered {code}$"):
            await probe(http_get=HttpGet(port))


async def test_http_says_who_asks() -> None:
    async with serving({"/x?y=1": status(200)}) as (application, port):
        headers = {"Host": "app.example", "X-Probe": "yes"}
        await probe(http_get=HttpGet(port, path="/x?y=1", headers=headers))
    (request,) = application.requests
    lines = {line.lower() for line in request.splitlines()}
    assert {"host: app.example", "x-probe: yes", "user-agent: istio-probe/1.0"} <= lines
    assert sum(line.startswith("host:") for line in lines) == 1
    assert application.sources == ["127.0.0.6"]


async def test_http_redirects_stay_with_the_application() -> None:
    answers = {
        "/": status(302, "Location: /login\r\n"),
        "/login": status(200),
        "/broken": status(301, "Location: down\r\n"),
        "/down": status(500),
        "/away": status(302, "Location: http://192.0.2.1/\r\n"),
        "/port": status(302, "Location: http://127.0.0.1:99999/\r\n"),
        "/loop": status(302, "Location: /loop\r\n"),
    }
    async with serving(answers) as (_, port):
        for path in ("/", "/away", "/port"):
            await probe(http_get=HttpGet(port, path=path))
        for path in ("/broken", "/loop"):
            with pytest.raises(Unhealthy):
                await probe(http_get=HttpGet(port, path=path))


async def test_https_takes_any_certificate(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    key.write_bytes(new_key())
    csr = new_csr(key.read_bytes(), "spiffe://other/ns/a/sa/b")
    chain = Authority.open(tmp_path / "ca", "other").issue(
        csr, dns=["other.example"], lifetime=timedelta(hours=1)
    )
    certificate.write_text("".join(chain))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with serving({"/": status(200)}, tls=tls) as (_, port):
        await probe(http_get=HttpGet(port, scheme="HTTPS"))


@pytest.mark.parametrize("answer", [b"", b"\0\xff garbage\r\n\r\n", b"HTTP/1.1 200"])
async def test_http_that_is_none(answer: bytes) -> None:
    async with serving({"/": answer}) as (_, port):
        with pytest.raises(Unhealthy, match="did not answer in HTTP"):
            await probe(http_get=HttpGet(port))


async def test_a_huge_body_is_not_read() -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n" + bytes(100_000)
    async with serving({"/": body}) as (_, port):
        await probe(http_get=HttpGet(port))


@pytest.mark.parametrize("kind", ["http_get", "tcp_socket", "grpc"])
async def test_nobody_listens(kind: str) -> None:
    settings = {"http_get": HttpGet, "tcp_socket": TcpSocket, "grpc": Grpc}[kind]
    port = closed_port()
    text = f"port {port} of 127.0.0.1 cannot be reached: Connection refused"
    with pytest.raises(Unhealthy, match=text):
        await probe(**{kind: settings(port)})


async def test_tcp_comes_from_the_special_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        await probe(tcp_socket=TcpSocket(server.getsockname()[1]))
        connection, (source, _) = server.accept()
        connection.close()
        assert source == "127.0.0.6"


async def test_ipv6_comes_from_wherever_it_can() -> None:
    async with serving({"/": status(200)}, host="::1") as (application, port):
        await probe(("::1",), http_get=HttpGet(port))
        assert application.sources[0] in ("::1", "::6")
        assert f"host: [::1]:{port}" in application.requests[0].lower()


class Health(HealthBase):  # type: ignore[misc]
    """Says of each service what it is told to say."""

    def __init__(self) -> None:
        self.statuses = {
            "": HealthCheckResponse.SERVING,
            "down": HealthCheckResponse.NOT_SERVING,
            "odd": HealthCheckResponse.UNKNOWN,
        }
        self.sources: list[str] = []

    async def Check(self, stream: Any) -> None:  # noqa: N802 - grpclib's name
        request = await stream.recv_message()
        self.sources.append(stream.peer.addr()[0])
        if request.service not in self.statuses:
            raise GRPCError(Status.NOT_FOUND, "no such service")
        await stream.send_message(HealthCheckResponse(status=self.statuses[request.service]))

    async def Watch(self, stream: Any) -> None:  # noqa: N802 - grpclib's name
        raise GRPCError(Status.UNIMPLEMENTED)


@pytest.fixture
async def grpc() -> AsyncIterator[tuple[Health, int]]:
    health = Health()
    server = Server([health])
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await server.start(sock=sock)
        yield health, sock.getsockname()[1]
        server.close()
        await server.wait_closed()


async def test_grpc_serving(grpc: tuple[Health, int]) -> None:
    health, port = grpc
    await probe(grpc=Grpc(port))
    assert health.sources == ["127.0.0.6"]


@pytest.mark.parametrize(
    ("service", "text"),
    [
        ("down", "gRPC health of down on port .*: NOT_SERVING"),
        ("odd", "UNKNOWN"),
        ("none", "NOT_FOUND no such service"),
    ],
)
async def test_grpc_not_serving(grpc: tuple[Health, int], service: str, text: str) -> None:
    with pytest.raises(Unhealthy, match=text):
        await probe(grpc=Grpc(grpc[1], service=service))


async def test_grpc_without_health_service() -> None:
    server = Server([])
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await server.start(sock=sock)
        with pytest.raises(Unhealthy, match=r"UNIMPLEMENTED|UNKNOWN"):
            await probe(grpc=Grpc(sock.getsockname()[1]))
        server.close()
        await server.wait_closed()


async def test_grpc_of_a_server_that_speaks_something_else() -> None:
    async with serving({}) as (_, port):
        with pytest.raises((Unhealthy, OSError)):
            await asyncio.wait_for(make_probe(ReadinessProbe(grpc=Grpc(port)), ["127.0.0.1"])(), 1)


async def test_exec() -> None:
    await probe(exec=Exec(("true",)))
    with pytest.raises(Unhealthy, match=r"^sh: exit status 3: it is broken$"):
        await probe(exec=Exec(("sh", "-c", "echo well; echo it is broken >&2; exit 3")))
    with pytest.raises(Unhealthy, match=r"^sh: signal 9$"):
        await probe(exec=Exec(("sh", "-c", "kill -9 $$")))
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await probe(exec=Exec(("no-such-program",)))


async def test_exec_may_say_much_and_leave_programs_behind() -> None:
    await probe(exec=Exec(("sh", "-c", "head -c 300000 /dev/zero >&2; sleep 2 >&2 &")))


async def test_exec_has_none_of_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    await probe(exec=Exec(("sh", "-c", 'test -z "$NOTIFY_SOCKET" && test -n "$PATH"')))


async def test_exec_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! > {pids}; echo $$ >> {pids}; wait"
    task = asyncio.create_task(probe(exec=Exec(("sh", "-c", script))))
    async with asyncio.timeout(5):
        while not pids.exists() or pids.read_text().count("\n") < 2:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for pid in map(int, pids.read_text().split()):
            while _runs(pid):  # noqa: ASYNC110 - the child is init's, who tells nobody
                await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
