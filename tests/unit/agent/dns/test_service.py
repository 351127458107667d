# SPDX-License-Identifier: Apache-2.0
"""The service's life: many clients, restarts, kills, what is kept on disk."""

from __future__ import annotations

import array
import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import cast

import dns.asyncquery
import dns.edns
import dns.message
import dns.rcode
import pytest

from mesh_agent.dns import datagrams, store
from mesh_agent.dns.counters import Counters
from mesh_agent.dns.server import UdpServer
from mesh_agent.dns.service import DnsService
from mesh_agent.dns.settings import DnsSettings
from mesh_core.errors import MeshError
from mesh_core.files import write_atomic
from tests.unit.agent.dns.conftest import SERVICES, Lab, Start, Upstream, name_table, until

API = f"api.shop.{SERVICES}"

CHILD = """
import asyncio, socket, sys
from pathlib import Path
from mesh_agent.dns.service import DnsService
from mesh_agent.dns.settings import DnsSettings

async def main():
    sockets = [socket.socket(fileno=int(fd)) for fd in sys.argv[2:]]
    service = DnsService(DnsSettings(), sockets, Path(sys.argv[1]), namespace="shop")
    print(service.status().names, flush=True)
    await service.run()

asyncio.run(main())
"""


async def test_thousands_of_questions(start: Start) -> None:
    """From 40 clients at once; each asks over its own socket and waits for each answer."""
    loop = asyncio.get_running_loop()

    async def client(lab: Lab, number: int) -> int:
        right = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(("127.0.0.1", lab.port))
            for turn in range(100):
                name = API if turn % 4 else f"n{number}-{turn}.example.org"
                query = dns.message.make_query(name, "A", id=turn).to_wire()
                await loop.sock_sendall(sock, query)
                reply = await loop.sock_recv(sock, 512)
                right += reply[:2] == query[:2] and reply[3] & 15 == 0 and reply[7] == 1
        return right

    # Patient upstreams: what is asked here is that nothing gets lost, also on a busy machine.
    async with start(name_table(), forward_timeout_seconds=30.0) as lab:
        assert sum(await asyncio.gather(*(client(lab, n) for n in range(40)))) == 4000
        counted = {name: value for name, labels, value in lab.service.metrics() if not labels}
    assert counted["istio_agent_dns_requests_total"] == 4000
    assert counted["istio_agent_dns_upstream_requests_total"] == 1000
    assert counted["istio_agent_dns_upstream_request_duration_seconds_count"] == 1000
    assert counted["istio_agent_dns_upstream_failures_total"] == 0


async def test_pipelined_questions_over_one_connection(lab: Lab) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
    queries = {
        n: dns.message.make_query(API if n % 2 else f"n{n}.example.org", "A", id=n)
        for n in range(200)
    }
    for query in queries.values():
        data = query.to_wire()
        writer.write(len(data).to_bytes(2, "big") + data)
    writer.write_eof()  # the answers must come all the same
    answered = set()
    for _ in queries:
        length = int.from_bytes(await reader.readexactly(2), "big")
        response = dns.message.from_wire(await reader.readexactly(length))
        assert queries[response.id].is_response(response)
        assert response.answer
        answered.add(response.id)
    assert answered == set(queries)
    assert await reader.read() == b""
    writer.close()


async def test_idle_and_surplus_connections_are_closed(start: Start) -> None:
    async with start(name_table(), tcp_idle_seconds=0.3, max_tcp_connections=2) as lab:
        first = [await asyncio.open_connection("127.0.0.1", lab.port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        with pytest.raises(ConnectionError):
            writer.write(b"\0")
            if not await reader.read():
                raise ConnectionError
        writer.close()
        async with asyncio.timeout(5):
            for idle_reader, idle_writer in first:
                assert await idle_reader.read() == b""
                idle_writer.close()
        assert await lab.addresses(API, tcp=True) == {"10.0.0.1"}


async def test_a_client_that_does_not_read_is_closed(start: Start) -> None:
    async with start(name_table(), tcp_idle_seconds=0.3) as lab:
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        cast(asyncio.ReadTransport, writer.transport).pause_reading()
        data = dns.message.make_query(f"many.shop.{SERVICES}", "A").to_wire()
        writer.write((len(data).to_bytes(2, "big") + data) * 20000)  # 33 MB of answers
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await writer.drain()
                while True:
                    writer.write(b"\0")
                    await asyncio.sleep(0.01)
                    await writer.drain()
        writer.close()
        assert reader.exception() or reader.at_eof()
        assert await lab.addresses(API, tcp=True) == {"10.0.0.1"}


async def test_garbage_over_tcp(lab: Lab) -> None:
    for data in (b"", b"\0", b"\0\0", b"\0\1x", b"\xff\xffshort", b"\0\x0c" + bytes(12)):
        reader, writer = await asyncio.open_connection("127.0.0.1", lab.port)
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
    assert await lab.addresses(API, tcp=True) == {"10.0.0.1"}


async def test_a_stopping_service_finishes_what_it_read(lab: Lab, upstream: Upstream) -> None:
    asked = asyncio.Event()
    reply = upstream.reply

    def late(query: dns.message.Message, tcp: bool) -> None:
        client = upstream.asked[-1][1]
        asked.set()
        answer = reply(query, tcp)
        assert answer
        data = answer.to_wire()
        asyncio.get_running_loop().call_later(0.1, upstream.udp.sendto, data, client)

    upstream.reply = late
    idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", lab.port)
    clients = [asyncio.create_task(lab.ask("www.example.org", tcp=tcp)) for tcp in (False, True)]
    await asked.wait()
    await asyncio.sleep(0.05)
    lab.task.cancel()
    async with asyncio.timeout(5):
        responses = await asyncio.gather(*clients)
        assert all(r.rcode() == dns.rcode.NOERROR and r.answer for r in responses)
        assert await idle_reader.read() == b""
    idle_writer.close()


async def test_it_can_run_again_on_the_same_sockets(lab: Lab) -> None:
    lab.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lab.task
    waiting = asyncio.create_task(lab.ask(API))
    again = asyncio.create_task(lab.service.run())
    assert (await waiting).answer
    assert await lab.addresses(API, tcp=True) == {"10.0.0.1"}
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again


async def test_updates_replace_everything_and_bad_ones_nothing(lab: Lab) -> None:
    assert lab.service.status().names == 7
    with pytest.raises(MeshError, match="name table cannot be read"):
        lab.service.update(b"\xff\xff\xff")
    assert await lab.addresses(API) == {"10.0.0.1"}
    lab.service.update(name_table(new_example=["10.9.9.9"]))
    assert await lab.addresses("new.example") == {"10.9.9.9"}
    lab.service.update(b"")
    assert await lab.addresses("new.example") == {"192.0.2.7"}
    assert lab.service.status().names == 0


async def test_the_last_table_is_kept(start: Start, tmp_path: Path) -> None:
    async with start(name_table()) as lab:
        lab.service.update(name_table(new_example=["10.9.9.9"]))
        assert await lab.addresses("new.example") == {"10.9.9.9"}
    kept = tmp_path / "state" / "dns" / "name-table.bin"
    assert kept.stat().st_mode & 0o777 == 0o600
    async with start() as lab:
        assert lab.service.status().ready
        assert await lab.addresses("new.example") == {"10.9.9.9"}
    kept.write_bytes(b"\xff\xff\xff")
    async with start() as lab:
        assert not lab.service.status().ready
        assert await lab.addresses("new.example") == {"192.0.2.7"}


async def test_a_write_that_takes_long_is_waited_for(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would put an old table over what the next process writes."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(path: Path, data: bytes, *, mode: int) -> None:
        begun.set()
        go_on.wait(10)
        write_atomic(path, data, mode)

    monkeypatch.setattr(store, "write_atomic", slow)
    async with start(name_table()):
        assert await asyncio.to_thread(begun.wait, 10)
        threading.Timer(0.1, go_on.set).start()
    assert (tmp_path / "state" / "dns" / "name-table.bin").read_bytes() == name_table()


async def test_the_table_is_written_while_it_runs(lab: Lab, tmp_path: Path) -> None:
    kept = tmp_path / "state" / "dns" / "name-table.bin"
    await until(kept.exists)
    assert kept.read_bytes() == name_table()


async def test_a_state_directory_that_cannot_be_written_stops_nothing(
    sockets: list[socket.socket], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file, where a directory is expected")
    service = DnsService(
        DnsSettings(resolv_conf=tmp_path / "none"), sockets, tmp_path / "state", namespace="shop"
    )
    service.update(name_table())
    task = asyncio.create_task(service.run())
    lab = Lab(service, sockets[0].getsockname()[1], task)
    assert await lab.addresses(API) == {"10.0.0.1"}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "name-table.bin was not written" in caplog.text


async def test_a_question_stays_in_the_socket_until_it_is_answered(
    sockets: list[socket.socket],
) -> None:
    """So a kill between the two leaves it to the next process."""
    udp = sockets[0]
    seen: list[tuple[bytes, int]] = []

    def answer(query: bytes, _: bool) -> bytes | None:
        seen.append((query, waiting(udp)))
        if query == b"raise":
            raise RuntimeError("a defect")
        return query

    async def resolve(*_: object) -> bytes:
        return b""

    problems: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
    server = UdpServer(udp, answer, resolve, Counters())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
        client.connect(udp.getsockname())
        for query in (b"first", b"raise", b"two"):
            client.send(query)
        server.start()
        assert [await loop.sock_recv(client, 512) for _ in range(2)] == [b"first", b"two"]
    await server.close(0)
    # The first datagram of those that wait is the first one that is not answered and sent yet.
    assert seen == [(b"first", 5), (b"raise", 5), (b"two", 3)]
    assert [str(problem) for problem in problems] == ["a defect"]
    assert waiting(udp) == 0


@pytest.mark.parametrize("look_ahead", [True, False])
async def test_large_questions_are_answered_and_passed_on_whole(
    start: Start, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, look_ahead: bool
) -> None:
    """Also where the kernel cannot look ahead, and then it is asked no more than once."""
    if not look_ahead:
        monkeypatch.setattr(datagrams, "_SO_PEEK_OFF", 9999)
    async with start(name_table()) as lab:
        for name, address in ((API, "10.0.0.1"), ("some.example.org", "192.0.2.7")):
            query = dns.message.make_query(name, "A")
            padding = dns.edns.GenericOption(dns.edns.OptionType.PADDING, b"\0" * 4000)
            query.use_edns(0, payload=4096, options=[padding])
            assert len(query.to_wire()) > 4000
            answer = await dns.asyncquery.udp(query, "127.0.0.1", port=lab.port, timeout=10)
            assert str(answer.answer[0][0]) == address
        ((passed, _client, _tcp),) = upstream.asked
        assert len(passed.to_wire()) > 4000
        assert await lab.addresses(API) == {"10.0.0.1"}


def waiting(sock: socket.socket) -> int:
    """Return the size of the first datagram in a socket, 0 when there is none."""
    size = array.array("i", [0])
    fcntl.ioctl(sock, termios.FIONREAD, size)
    return size[0]


def test_a_kill_loses_nothing_that_was_not_read(
    sockets: list[socket.socket], tmp_path: Path
) -> None:
    """Questions reach the socket while nobody reads; the next process answers them all."""
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns" / "name-table.bin").write_bytes(name_table())
    fds = [sock.fileno() for sock in sockets]

    def child() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), *map(str, fds)],
            pass_fds=fds,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[4],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        assert process.stdout
        assert process.stdout.readline() == "7\n"
        return process

    address = sockets[0].getsockname()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(address)
        first = child()
        with first:
            client.send(dns.message.make_query(API, "A", id=999).to_wire())
            assert client.recv(512)[:2] == b"\x03\xe7"
            first.send_signal(signal.SIGSTOP)
            for number in range(150):
                client.send(dns.message.make_query(API, "A", id=number).to_wire())
            with socket.create_connection(address, timeout=10) as stream:
                data = dns.message.make_query(API, "A", id=7).to_wire()
                stream.sendall(len(data).to_bytes(2, "big") + data)
                first.kill()
                first.wait()
                with child() as second:
                    try:
                        missing = set(range(150))
                        while missing:  # what was answered last may be answered twice
                            missing.discard(int.from_bytes(client.recv(512)[:2], "big"))
                        assert stream.recv(512)[2:4] == b"\0\x07"
                    finally:
                        second.kill()
