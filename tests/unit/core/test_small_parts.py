from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from grpclib.client import Channel
from grpclib.exceptions import GRPCError, StreamTerminatedError
from grpclib.utils import Wrapper

from mesh_core import http, systemd
from mesh_core.errors import MeshError
from mesh_core.files import replace_link, write_atomic, write_directory
from mesh_core.http import HttpServer, Request, Response, get
from mesh_core.supervise import backoff, stop, supervise
from mesh_core.wire import rpc
from mesh_core.wire.messages import NameTable
from mesh_core.wire.types import CREATE_CERTIFICATE, LISTENER, short


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_atomic(path, "one", 0o600)
    write_atomic(path, b"two", 0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]
    with pytest.raises(OSError):
        write_atomic(tmp_path / "no/such/dir", "x")


def test_a_directory_is_private_and_its_files_have_their_modes(tmp_path: Path) -> None:
    path = tmp_path / "7"
    write_directory(path, {"key": (b"one", 0o600), "about": ("two", 0o644)})
    assert path.stat().st_mode & 0o777 == 0o700
    found = {each.name: (each.read_text(), each.stat().st_mode & 0o777) for each in path.iterdir()}
    assert found == {"key": ("one", 0o600), "about": ("two", 0o644)}
    with pytest.raises(FileExistsError):
        write_directory(path, {})


def test_nothing_stays_of_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        write_directory(tmp_path / "7", {"key": (b"one", 0o600), "no/such/place": (b"", 0o600)})
    assert not list(tmp_path.iterdir())


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    for target in ("one", "two"):
        replace_link(tmp_path / "current", target)
    assert (tmp_path / "current").readlink() == Path("two")


def test_backoff_grows_to_its_maximum_and_spreads() -> None:
    waits = list(itertools.islice(backoff(1, 8), 6))
    for wait, top in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert top / 2 <= wait <= top


class StepClock:
    """Counts sleeps instead of sleeping."""

    def __init__(self, stop_after: int) -> None:
        self.slept: list[float] = []
        self._stop_after = stop_after

    def now(self) -> object:
        raise AssertionError("not asked for")

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self._stop_after:
            raise asyncio.CancelledError


async def test_a_failing_task_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0

    async def fail() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise MeshError("no such file")
        raise ValueError("a defect")

    clock = StepClock(3)
    with pytest.raises(asyncio.CancelledError):
        await supervise("sds", fail, clock=clock)  # type: ignore[arg-type]
    assert runs == 3
    assert "sds: no such file" in caplog.text
    assert "ValueError: a defect" in caplog.text


async def test_a_task_is_stopped_that_loses_a_cancellation() -> None:
    """A connection is lost in the moment of the cancellation: grpclib makes an error of both."""
    connection = Wrapper()

    async def follow() -> None:
        while True:
            try:
                with rpc.awake(), connection:
                    await asyncio.get_running_loop().create_future()
            except StreamTerminatedError:
                await asyncio.sleep(30)

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    stopping = asyncio.create_task(stop([task], every=0.01))
    await asyncio.sleep(0)
    connection.cancel(StreamTerminatedError("lost"))
    async with asyncio.timeout(5):
        await stopping
    assert task.cancelled()


async def test_tasks_that_ended_are_stopped() -> None:
    async def fail() -> None:
        raise ValueError("a defect")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    await stop([task])
    await stop([])


def test_notify_reaches_the_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        assert systemd.notify("READY=1", "STATUS=up") is True
        assert manager.recv(100) == b"READY=1\nSTATUS=up"


def test_the_watchdog_is_for_this_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert systemd.watchdog_seconds() == 30
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert systemd.watchdog_seconds() is None


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ("8:1234", r"<4>part: a\n<4>b\n"),
        ("", r"\d{4}-\d\d-\d\d [\d:,]+ WARNING part a\nb\n"),
    ],
)
def test_what_is_logged_has_its_priority_for_the_journal(journal: str, expected: str) -> None:
    program = (
        "import logging; from mesh_core.systemd import setup_logging\n"
        "setup_logging('WARNING'); log = logging.getLogger('part')\n"
        "log.info('not this'); log.warning('a\\nb')"
    )
    environment = {**os.environ, "JOURNAL_STREAM": journal}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(expected, done.stderr)


async def test_http_there_and_back(tmp_path: Path) -> None:
    async def handler(request: Request) -> Response:
        if request.target == "/broken":
            raise ValueError("a defect")
        return Response(200, f"{request.method} {request.target} {request.peer}".encode())

    server = HttpServer(handler)
    await server.start("127.0.0.1", 0)
    answer = await get("/status?x=1", port=server.port)
    assert (answer.status, answer.body) == (200, b"GET /status?x=1 127.0.0.1")
    assert (await get("/broken", port=server.port)).status == 500
    await server.close()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        on_unix = HttpServer(handler)
        await on_unix.start(sock=listening)
        assert (await get("/x", unix=tmp_path / "s")).body == b"GET /x "
        await on_unix.close()


async def test_an_answer_without_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 4096)
                await writer.drain()

    monkeypatch.setattr(http, "_MOST_BYTES", 100_000)
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    with pytest.raises(ConnectionError, match="expected at most 100000 bytes"):
        await get("/", port=server.sockets[0].getsockname()[1])
    server.close()


async def test_grpc_streams_and_calls_carry_bytes(tmp_path: Path) -> None:
    async def echo(stream: rpc.BytesStream) -> None:
        async for message in stream:
            await stream.send_message(message * 2)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        server = rpc.server(streams={"/a.B/Stream": echo}, unary={CREATE_CERTIFICATE: echo})
        await server.start(sock=listening)
        channel = rpc.unix_channel(tmp_path / "s")
        async with rpc.open_stream(channel, "/a.B/Stream") as stream:
            large = b"x" * 5_000_000
            await stream.send_message(large)
            assert await stream.recv_message() == large * 2
            await stream.end()
            assert await stream.recv_message() is None
        assert await rpc.call(channel, CREATE_CERTIFICATE, b"ab", timeout=5) == b"abab"
        with pytest.raises(GRPCError):
            await rpc.call(channel, "/no.Such/Method", b"", timeout=5)
        channel.close()
        server.close()
        await server.wait_closed()


async def test_a_lost_connection_leaves_no_cancellation_behind(tmp_path: Path) -> None:
    async def silent(stream: rpc.BytesStream) -> None:
        await asyncio.get_running_loop().create_future()

    def cancellations() -> int:
        task = asyncio.current_task()
        return task.cancelling() if task else -1

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        server = rpc.server(streams={"/a.B/Stream": silent}, unary={CREATE_CERTIFICATE: silent})
        await server.start(sock=listening)
        for call in (
            lambda channel: rpc.call(channel, CREATE_CERTIFICATE, b"", timeout=20),
            _read_of_a_stream,
        ):
            channel = rpc.unix_channel(tmp_path / "s")
            asyncio.get_running_loop().call_later(0.2, channel.close)
            with pytest.raises(StreamTerminatedError):
                await call(channel)
            assert cancellations() == 0
        server.close()
        await server.wait_closed()


async def _read_of_a_stream(channel: Channel) -> None:
    async with rpc.open_stream(channel, "/a.B/Stream") as stream:
        await stream.send_request()
        await stream.recv_message()


async def test_a_cancellation_that_is_nobodys_else_stays() -> None:
    async def wait() -> None:
        with rpc.awake():
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


def test_istio_messages_have_istios_field_numbers() -> None:
    table = NameTable()
    table.table["a.b"].ips.append("10.0.0.1")
    table.table["a.b"].shortname = "a"
    inner = b"\x0a\x08" + b"10.0.0.1" + b"\x1a\x01a"
    entry = b"\x0a\x03a.b" + b"\x12" + bytes([len(inner)]) + inner
    assert table.SerializeToString() == b"\x0a" + bytes([len(entry)]) + entry


def test_short_names_of_types() -> None:
    assert short(LISTENER) == "Listener"
