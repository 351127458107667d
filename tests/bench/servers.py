# SPDX-License-Identifier: Apache-2.0
"""The name servers that are compared, each with the same names, and the resolver behind them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import peers
from tests.bench.ask import answers
from tests.bench.measure import seconds_until

DOMAIN = "bench.svc.cluster.local"
KNOWN, UNKNOWN = "known.example", "unknown.example"
"""Domains of the resolver behind: every name below the first one has an address."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    name: str
    port: int
    pid: int


@contextmanager
def resolver() -> Iterator[None]:
    """The host's own resolver, on port 53: a dnsmasq that makes answers up."""
    options = ["--no-hosts", "--no-resolv", "--cache-size=0", f"--address=/{KNOWN}/192.0.2.7"]
    options += [f"--local=/{UNKNOWN}/", "--port=53"]
    with _run([*_dnsmasq(), *options], f"a.{KNOWN}", 53):
        yield


@contextmanager
def dnsmasq(names: Mapping[str, str], directory: Path, port: int) -> Iterator[Server]:
    """With the names in a hosts file."""
    hosts = directory / "hosts"
    hosts.write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    options = ["--no-hosts", f"--addn-hosts={hosts}", f"--local=/{DOMAIN}/", f"--port={port}"]
    options += ["--no-resolv", "--server=127.0.0.1#53", "--dns-forward-max=1000"]
    with _run([*_dnsmasq(), *options], next(iter(names)), port) as pid:
        yield Server("dnsmasq", port, pid)


@contextmanager
def unbound(names: Mapping[str, str], directory: Path, port: int) -> Iterator[Server]:
    """With the names as local data, one thread."""
    file = directory / "unbound.conf"
    data = "".join(f' local-data: "{name}. 30 A {addr}"\n' for name, addr in names.items())
    file.write_text(
        f"server:\n interface: 127.0.0.1@{port}\n do-daemonize: no\n num-threads: 1\n"
        f' chroot: ""\n username: ""\n pidfile: ""\n directory: "{directory}"\n use-syslog: no\n'
        f" logfile: {directory}/unbound.log\n do-not-query-localhost: no\n"
        f' module-config: "iterator"\n local-zone: "{DOMAIN}." static\n{data}'
        "remote-control:\n control-enable: no\n"
        'forward-zone:\n name: "."\n forward-addr: 127.0.0.1\n'
    )
    with _run([peers.program("unbound"), "-c", str(file)], next(iter(names)), port) as pid:
        yield Server("unbound", port, pid)


def _dnsmasq() -> list[str]:
    return [
        *(peers.program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
        *("--user=root", "--listen-address=127.0.0.1", "--bind-interfaces"),
    ]


@contextmanager
def _run(command: list[str], name: str, port: int) -> Iterator[int]:
    process = subprocess.Popen(command, env=peers.environment(), stdin=subprocess.DEVNULL)
    try:
        seconds_until(command[0], time.monotonic(), lambda: answers(name, port), every=0.02)
        yield process.pid
    finally:
        process.kill()
        process.wait()
