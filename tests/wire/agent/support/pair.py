# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces with a wire between them and captured traffic, as two hosts have it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

ADDRESSES = ("10.241.1.11", "10.241.1.12")
IPV6 = ("fd41:1::11", "fd41:1::12")

# Calls to virtual addresses go to Envoy, and so does what comes from the other host. Of IPv6 what
# comes from a port of these: Envoy's own calls have the same user here.
CAPTURED_PORTS = "15800-15899"
_RULES = """
table ip mesh {
  chain out {
    type nat hook output priority -100; policy accept;
    ip daddr { 10.96.0.0/12, 240.240.0.0/16 } tcp dport 1-65535 redirect to :15001
  }
  chain in {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" return
    meta l4proto tcp redirect to :15006
  }
}
table ip6 mesh {
  chain out {
    type nat hook output priority -100; policy accept;
    oifname "eth0" tcp sport 15800-15899 redirect to :15001
  }
  chain in {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" return
    meta l4proto tcp redirect to :15006
  }
}
"""
_ROOT = Path(__file__).parents[4]


def _run(*argv: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        argv, input=stdin, text=True, capture_output=True, check=False, timeout=30
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr or done.stdout}")
    return done.stdout


@contextmanager
def two_hosts() -> Iterator[tuple[str, str]]:
    """Yield the names of two namespaces; they are removed afterwards."""
    names = tuple(f"hm-b{os.getpid()}-{side}" for side in "ab")
    try:
        for name in names:
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run(
            *("ip", "-n", names[0], "link", "add", "eth0", "type", "veth"),
            *("peer", "name", "eth0", "netns", names[1]),
        )
        for name, address, ipv6, peer in zip(
            names, ADDRESSES, IPV6, reversed(ADDRESSES), strict=True
        ):
            _run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _run("ip", "-n", name, "addr", "add", f"{ipv6}/64", "dev", "eth0", "nodad")
            _run("ip", "-n", name, "addr", "add", "::6/128", "dev", "lo", "nodad")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
            # Only so that a virtual address has a route before it is redirected.
            _run("ip", "-n", name, "route", "add", "default", "via", peer)
            _run("ip", "netns", "exec", name, "nft", "-f", "-", stdin=_RULES)
        yield names[0], names[1]
    finally:
        for name in names:
            with contextlib.suppress(RuntimeError):
                _run("ip", "netns", "del", name)


@asynccontextmanager
async def application(namespace: str) -> AsyncIterator[None]:
    """Run the application in a namespace."""
    process = await asyncio.create_subprocess_exec(
        *_app(namespace, "serve"), stdout=asyncio.subprocess.PIPE, cwd=_ROOT
    )
    assert process.stdout
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"ready\n"
        yield
    finally:
        process.kill()
        await process.wait()


async def call(namespace: str, kind: str, host: str, port: int, *options: str) -> str:
    """Make a call from a namespace: ``http``, ``proof`` (from a proof port), ``grpc``, ``tcp``.

    Of HTTP the headers come first; ``options`` are curl's.
    """
    if kind in ("http", "proof"):
        argv = (
            *("ip", "netns", "exec", namespace, "curl", "-sSi", "-m", "10"),
            *(("--local-port", "15900-15999") if kind == "proof" else ()),
            *options,
            f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/",
        )
    else:
        argv = _app(namespace, kind, host, str(port))
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=_ROOT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return output.decode().strip()


@asynccontextmanager
async def calling(
    namespace: str, host: str, port: int
) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Call for lines all the time; yields what ends that and tells how many were answered.

    RuntimeError then if one was not.
    """
    process = await asyncio.create_subprocess_exec(
        *_app(namespace, "load", host, str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=_ROOT,
    )

    async def end() -> int:
        output, _ = await asyncio.wait_for(process.communicate(b""), 20)
        if process.returncode:
            raise RuntimeError(output.decode())
        return int(output)

    try:
        yield end
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _app(namespace: str, *arguments: str) -> tuple[str, ...]:
    return (
        *("ip", "netns", "exec", namespace, sys.executable),
        *("-m", "tests.wire.agent.support.app", *arguments),
    )
