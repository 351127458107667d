# SPDX-License-Identifier: Apache-2.0
"""A resolver to forward to, a client to ask with, and the service under test on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from mesh_agent.dns.service import DnsService
from mesh_agent.dns.settings import DnsSettings
from mesh_core.wire.messages import NameTable

SERVICES = "svc.cluster.local"

Reply = Callable[[dns.message.Message, bool], dns.message.Message | None]
"""(query, by TCP) -> response, or None for silence."""


def name_table(**extra: list[str]) -> bytes:
    """Return a small mesh: two services in ``shop``, one elsewhere, entries, and ``extra``."""
    table = NameTable()

    def service(short: str, namespace: str, *addresses: str) -> None:
        entry = table.table[f"{short}.{namespace}.{SERVICES}"]
        entry.ips.extend(addresses)
        entry.registry, entry.shortname, entry.namespace = "Kubernetes", short, namespace

    service("api", "shop", "10.0.0.1")
    service("both", "shop", "10.0.0.2", "fd00::2")
    service("six", "shop", "fd00::6")
    service("pay", "bank", "10.0.0.3")
    service("many", "shop", *(f"10.1.0.{n}" for n in range(1, 101)))
    table.table["ledger.example.com"].ips.append("240.240.0.1")
    table.table["*.wild.example.com"].ips.append("240.240.0.2")
    for host, addresses in extra.items():
        table.table[host.replace("_", ".")].ips.extend(addresses)
    return bytes(table.SerializeToString())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in another process or thread, or once a second."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a listening TCP socket on one free port of loopback."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:  # free for TCP only
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp


class Upstream:
    """A resolver on loopback that answers by ``reply`` and notes what it was asked."""

    def __init__(self) -> None:
        self.reply: Reply = self.answer
        self.asked: list[tuple[dns.message.Message, tuple[str, int], bool]] = []
        self.udp, self._listening = socket_pair()
        self.address: tuple[str, int] = self.udp.getsockname()
        self._tcp: asyncio.Server | None = None

    @property
    def text(self) -> str:
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def names(self) -> list[str]:
        return [str(query.question[0].name) for query, _, _ in self.asked]

    @staticmethod
    def answer(query: dns.message.Message, _: bool) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        if question.rdtype == dns.rdatatype.A:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", "192.0.2.7"))
        return response

    async def start(self, *, tcp: bool = True) -> None:
        asyncio.get_running_loop().add_reader(self.udp, self._read)
        if tcp:
            self._tcp = await asyncio.start_server(self._serve, sock=self._listening)
        else:
            self._listening.close()

    def stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self.udp)
        self.udp.close()
        if self._tcp:
            self._tcp.close()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, client = self.udp.recvfrom(65535)
                try:
                    query = dns.message.from_wire(data)
                except dns.exception.DNSException:
                    continue
                self.asked.append((query, client, False))
                if response := self.reply(query, False):
                    self.udp.sendto(response.to_wire(max_size=65535), client)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            query = dns.message.from_wire(await reader.readexactly(length))
            self.asked.append((query, writer.get_extra_info("peername"), True))
            if response := self.reply(query, True):
                data = response.to_wire(max_size=65535)
                writer.write(len(data).to_bytes(2, "big") + data)
        writer.close()


@pytest.fixture
async def upstreams() -> AsyncIterator[list[Upstream]]:
    """Two resolvers."""
    made = [Upstream(), Upstream()]
    for upstream in made:
        await upstream.start()
    yield made
    for upstream in made:
        upstream.stop()


@pytest.fixture
async def upstream(upstreams: list[Upstream]) -> Upstream:
    """Return the first one."""
    return upstreams[0]


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Sockets as a socket unit holds them, UDP and TCP on one port."""
    udp, tcp = socket_pair()
    yield [udp, tcp]
    udp.close()
    tcp.close()


class Lab:
    """A running service and how to ask it."""

    def __init__(self, service: DnsService, port: int, task: asyncio.Task[None]) -> None:
        self.service, self.port, self.task = service, port, task

    async def ask(
        self, name: str, kind: str = "A", *, tcp: bool = False, edns: int | None = None
    ) -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        if edns is not None:
            query.use_edns(0, payload=edns)
        ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        return await ask(query, "127.0.0.1", port=self.port, timeout=10)

    async def addresses(self, name: str, kind: str = "A", *, tcp: bool = False) -> set[str]:
        response = await self.ask(name, kind, tcp=tcp)
        assert response.rcode() == dns.rcode.NOERROR
        kind_number = dns.rdatatype.from_text(kind)
        return {str(i) for r in response.answer if r.rdtype == kind_number for i in r}

    async def send(self, data: bytes) -> bytes | None:
        """Send a datagram of any bytes; None when nothing comes back before a real answer does."""
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect(("127.0.0.1", self.port))
            await loop.sock_sendall(sock, data)
            marker = dns.message.make_query(f"api.shop.{SERVICES}", "A", id=1)
            await loop.sock_sendall(sock, marker.to_wire())
            first = await loop.sock_recv(sock, 65535)
            return None if first[:2] == b"\0\1" else first


Start = Callable[..., contextlib.AbstractAsyncContextManager[Lab]]


@pytest.fixture
def start(sockets: list[socket.socket], upstream: Upstream, tmp_path: Path) -> Start:
    """Return a function that runs a service with the settings given, forwarding to ``upstream``."""
    empty = tmp_path / "resolv.conf"
    empty.write_text("search corp.example other.example\n")
    base = DnsSettings(upstreams=(upstream.text,), resolv_conf=empty, forward_timeout_seconds=0.4)

    @contextlib.asynccontextmanager
    async def run(table: bytes | None = None, **settings: object) -> AsyncIterator[Lab]:
        service = DnsService(
            dataclasses.replace(base, **settings),  # type: ignore[arg-type]
            sockets,
            tmp_path / "state",
            namespace="shop",
        )
        if table is not None:
            service.update(table)
        task = asyncio.create_task(service.run())
        try:
            yield Lab(service, sockets[0].getsockname()[1], task)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return run


@pytest.fixture
async def lab(start: Start) -> AsyncIterator[Lab]:
    """A running service that has a name table."""
    async with start(name_table()) as running:
        yield running
