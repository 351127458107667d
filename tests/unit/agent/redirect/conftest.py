# SPDX-License-Identifier: Apache-2.0
"""Hosts made of network namespaces, and sockets of any user in any of them.

peer (10.99.1.2, fd99:1::2) --- eth0 | host (10.99.1.1, fd99:1::1) | podman9 --- guest
                                                                        (10.99.2.2)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mesh_agent.redirect.apply import Redirector
from mesh_agent.redirect.deadman import DeadMan
from mesh_agent.redirect.facts import Host
from mesh_agent.redirect.nft import Nftables, Outcome, run
from mesh_agent.redirect.record import RecordFile
from mesh_agent.redirect.settings import RedirectSettings

AGENT, PROXY, APP, BACKUP = 64991, 64992, 64001, 64002
USERS = {"mesh-agent": AGENT, "mesh-proxy": PROXY, "backup": BACKUP}
HOST4, PEER4, GUEST4 = "10.99.1.1", "10.99.1.2", "10.99.2.2"
HOST6, PEER6 = "fd99:1::1", "fd99:1::2"

_PREFIX = "hmt"
_CLONE_NEWNET = 0x40000000
_SO_ORIGINAL_DST = 80


def command(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


class Namespace:
    """One host's network."""

    def __init__(self, name: str) -> None:
        self.name = f"{_PREFIX}-{os.getpid()}-{name}"

    def run(self, *words: str) -> str:
        return command("ip", "netns", "exec", self.name, *words)

    def runner(self, words: Sequence[str], text: str) -> Outcome:
        return run(["ip", "netns", "exec", self.name, *words], text)

    def socket(
        self, kind: int = socket.SOCK_STREAM, *, ipv6: bool = False, uid: int = 0
    ) -> socket.socket:
        """Return a socket of user ``uid``; namespace and user are those of the thread it is made
        in, and stay its own."""
        made: list[socket.socket] = []
        libc = ctypes.CDLL(None, use_errno=True)

        def make() -> None:
            with Path("/run/netns", self.name).open() as handle:
                if libc.setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            libc.setfsuid(uid)
            made.append(socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].settimeout(3)
        return made[0]


class Network:
    """The three namespaces; ``close`` closes every socket that was made here."""

    def __init__(self) -> None:
        self.host, self.peer, self.guest = Namespace("host"), Namespace("peer"), Namespace("guest")
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Network:
        try:
            self._build()
        except BaseException:
            self.stack.close()
            raise
        return self

    def _build(self) -> None:
        for namespace in (self.host, self.peer, self.guest):
            command("ip", "netns", "add", namespace.name)
            self.stack.callback(command, "ip", "netns", "del", namespace.name)
            namespace.run("ip", "link", "set", "lo", "up")
        self._link(self.peer, "eth0", "eth0", (PEER4, PEER6), (HOST4, HOST6))
        self._link(self.guest, "eth0", "podman9", (GUEST4,), ("10.99.2.1",))
        self.guest.run("ip", "route", "add", "default", "via", "10.99.2.1")
        self.peer.run("ip", "route", "add", "10.99.2.0/24", "via", HOST4)
        self.host.run("ip", "route", "add", "default", "via", PEER4)
        self.host.run("ip", "-6", "route", "add", "default", "via", PEER6)

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _link(
        self,
        other: Namespace,
        device: str,
        host_device: str,
        addresses: Sequence[str],
        host_addresses: Sequence[str],
    ) -> None:
        command(
            "ip",
            "link",
            "add",
            host_device,
            "netns",
            self.host.name,
            "type",
            "veth",
            "peer",
            "name",
            device,
            "netns",
            other.name,
        )
        ends = ((other, device, addresses), (self.host, host_device, host_addresses))
        for namespace, name, given in ends:
            # No addresses of the kernel's own, which take a second to be usable.
            namespace.run("ip", "link", "set", name, "addrgenmode", "none")
            for address in given:
                length, extra = ("64", ["nodad"]) if ":" in address else ("24", [])
                namespace.run("ip", "address", "add", f"{address}/{length}", "dev", name, *extra)
            namespace.run("ip", "link", "set", name, "up")

    def listen(
        self, namespace: Namespace, address: str, port: int, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        sock = self.stack.enter_context(namespace.socket(kind, ipv6=":" in address))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        return sock

    def answer(self, namespace: Namespace, address: str, port: int, name: bytes) -> None:
        """Have every datagram to ``address`` answered with ``name``."""
        sock = self.listen(namespace, address, port, socket.SOCK_DGRAM)
        sock.settimeout(0.05)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    _, client = sock.recvfrom(100)
                    sock.sendto(name, client)

        thread = threading.Thread(target=serve)
        thread.start()
        self.stack.callback(thread.join)
        self.stack.callback(stopped.set)

    def connect(
        self,
        namespace: Namespace,
        address: str,
        port: int,
        *,
        uid: int = APP,
        source: str | tuple[str, int] | None = None,
    ) -> socket.socket:
        sock = self.stack.enter_context(namespace.socket(ipv6=":" in address, uid=uid))
        if source:
            sock.bind(source if isinstance(source, tuple) else (source, 0))
        sock.connect((address, port))
        return sock

    def query(
        self, address: str, port: int = 53, *, uid: int = APP, local_port: int = 0
    ) -> tuple[bytes, str]:
        """Ask by UDP from the host; return the answer and whom it seems to come from."""
        ipv6 = ":" in address
        with self.host.socket(socket.SOCK_DGRAM, ipv6=ipv6, uid=uid) as sock:
            sock.bind(("::" if ipv6 else "0.0.0.0", local_port))
            sock.sendto(b"question", (address, port))
            answer, sender = sock.recvfrom(100)
            return answer, sender[0]


def accepted(listener: socket.socket) -> tuple[tuple[str, int], str]:
    """Accept; return where the caller wanted to go and what its address is."""
    connection, caller = listener.accept()
    with connection:
        try:
            if connection.family == socket.AF_INET:
                raw = connection.getsockopt(socket.SOL_IP, _SO_ORIGINAL_DST, 16)
                port, packed = struct.unpack_from("!2xH4s", raw)
            else:
                raw = connection.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
                port, packed = struct.unpack_from("!2xH4x16s", raw)
        except OSError:  # nothing tracks connections there, so nothing was translated
            address, port = connection.getsockname()[:2]
        else:
            address = socket.inet_ntop(connection.family, packed)
        return (address, port), caller[0]


def _sweep() -> None:
    """Take away what a killed run left behind."""
    for line in command("ip", "netns", "list").splitlines():
        found = re.match(rf"({_PREFIX}-(\d+)-\w+)", line)
        if found and not Path("/proc", found[2]).exists():
            command("ip", "netns", "del", found[1])


@pytest.fixture
def network() -> Iterator[Network]:
    """Fresh namespaces, in which nothing has tracked connections yet."""
    if os.geteuid():
        pytest.skip("needs root")
    for program in ("ip", "nft"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}")
    _sweep()
    with Network() as made:
        yield made


Make = Callable[..., Redirector]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A root directory whose resolv.conf names the peer."""
    directory = tmp_path / "root" / "etc"
    directory.mkdir(parents=True)
    (directory / "resolv.conf").write_text(f"nameserver {PEER4}\nnameserver {PEER6}\n")
    return directory


@pytest.fixture
def make(network: Network, etc: Path, tmp_path: Path) -> Make:
    """Return a function that makes the host's Redirector with the settings given."""

    def factory(addresses: Sequence[str] = (HOST4, HOST6), **settings: object) -> Redirector:
        return Redirector(
            RedirectSettings(**settings),  # type: ignore[arg-type]
            addresses,
            host=Host(etc.parent, USERS.__getitem__),
            nftables=Nftables(network.host.runner),
            record=RecordFile(tmp_path / "run"),
            deadman=DeadMan(("true",), network.host.runner),
        )

    return factory
