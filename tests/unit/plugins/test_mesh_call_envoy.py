# SPDX-License-Identifier: GPL-3.0-or-later
"""mesh_call through a real Envoy: what its proof log really says about each kind of failure.

One process plays the caller's proxy, the peers' proxies and the gateway, all on the loopback
interface.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.dial import ProofPorts
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.evidence import ProofLog
from ansible_collections.hybrid.mesh.plugins.modules.mesh_call import make_calls
from ansible_collections.hybrid.mesh.tests.unit.plugins.envoy_mesh import EnvoyMesh

from mesh_core import pki

pytestmark = pytest.mark.needs_envoy


@pytest.fixture(scope="module")
def application() -> Iterator[int]:
    """Answers to PostgreSQL's first words, and to HTTP."""

    def answer(connection: socket.socket) -> None:
        with connection:
            asked = connection.recv(4096)
            if asked.startswith(b"GET"):
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
            elif asked:
                connection.sendall(b"N")
                if connection.recv(4096):
                    connection.sendall(b"R" + struct.pack("!II", 8, 10))
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def loop() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _peer = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class _Admin(HTTPConnection):
    """HTTP over Envoy's administration socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def _ready(admin: Path) -> bool:
    with contextlib.suppress(OSError), contextlib.closing(_Admin(admin)) as connection:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    return False


@pytest.fixture(scope="module")
def mesh(
    tmp_path_factory: pytest.TempPathFactory, application: int, envoy_binary: Path
) -> Iterator[EnvoyMesh]:
    directory = tmp_path_factory.mktemp("envoy")
    made = EnvoyMesh(directory)
    (directory / "envoy.json").write_text(json.dumps(made.config(application)))
    arguments = ["--use-dynamic-base-id", "--concurrency", "1", "--file-flush-interval-msec", "50"]
    with (directory / "envoy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(envoy_binary), "-c", str(directory / "envoy.json"), "-l", "warning", *arguments],
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 30
        while not _ready(made.admin):
            assert process.poll() is None, (directory / "envoy.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield made
    finally:
        process.terminate()
        process.wait(10)


def _call(mesh: EnvoyMesh, where: str, expect: str, scheme: str, **more: Any) -> dict[str, Any]:
    call = {
        "name": where,
        "url": f"{scheme}://127.0.0.1:{mesh.ports[where]}",
        "expect": expect,
        "peer": None,
        "via": None,
        "count": 1,
        "timeout": 5.0,
        "plaintext": False,
        "spread": None,
        "answer_key": "version",
        **more,
    }
    # Calls that do not cross the mesh are not waited for any longer than those that do need.
    wait = 0.3 if where.endswith("itself") else 20
    (result,) = make_calls([call], ProofLog(mesh.log), wait, ProofPorts(time.monotonic_ns()))
    return result


@pytest.mark.parametrize(
    ("where", "scheme", "expect", "reason"),
    [
        ("allowed", "postgres", "allowed", "PostgreSQL, asks for SASL"),
        ("http", "http", "allowed", "HTTP 200"),
        ("gateway", "postgres", "allowed", "PostgreSQL, asks for SASL"),
        ("denied", "postgres", "refused", "connected, then closed without an answer"),
        ("http denied", "http", "forbidden", "HTTP 403, RBAC: access denied"),
    ],
)
def test_a_policy_speaks_after_the_peer_showed_who_it_is(
    mesh: EnvoyMesh, where: str, scheme: str, expect: str, reason: str
) -> None:
    peer = "spiffe://cluster.local/ns/shop/sa/db"
    via = ["127.0.0.1"] if where == "gateway" else None
    if via:
        # The tests' gateway has not the port of all gateways, so it is known by its address.
        found = _call(mesh, where, expect, scheme, peer=peer, via=via)
        assert found["path"] == "gateway 127.0.0.1"
    else:
        found = _call(mesh, where, expect, scheme, peer=peer)
        assert found["path"] == "direct"
    assert (found["ok"], found["reason"]) == (True, reason)
    assert found["identity_checked"] is True
    assert (found["peer"], found["tls"]) == (peer, "TLSv1.3")
    certificate = pki.read_certificate((mesh.log.parent / "db.pem").read_bytes())
    assert found["serial"] == certificate.serial_hex
    assert found["not_after"] == certificate.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("where", "scheme", "outcome", "words"),
    [
        # Whoever refuses our certificate does so after the handshake of TLS 1.3 is over.
        ("doubted", "postgres", "refused", "connected, then"),
        ("impostor", "postgres", "error", "CERTIFICATE_VERIFY_FAILED"),
        ("nobody", "postgres", "unreachable", "response flags UF"),
        ("http nobody", "http", "unreachable", "HTTP 503; response flags UF"),
        ("gateway without a way", "postgres", "error", "the TLS handshake failed"),
    ],
)
def test_only_the_peer_can_refuse(
    mesh: EnvoyMesh, where: str, scheme: str, outcome: str, words: str
) -> None:
    found = _call(mesh, where, "refused", scheme)
    assert found["outcome"] == outcome
    assert found["ok"] is (outcome == "refused")
    assert words in found["reason"]


@pytest.mark.parametrize("scheme", ["http", "postgres", "tcp"])
@pytest.mark.parametrize("where", ["peer itself", "gateway itself"])
def test_plaintext_is_refused(mesh: EnvoyMesh, where: str, scheme: str) -> None:
    found = _call(mesh, where, "refused", scheme)
    assert (found["ok"], found["peer"]) == (True, None), found["reason"]


def test_repeated_calls_find_their_own_lines(mesh: EnvoyMesh) -> None:
    # More calls than there are ports, so ports are used again.
    found = _call(mesh, "http", "allowed", "http", count=130)
    assert (found["ok"], found["identity_checked"]) == (True, True), found["reason"]
    assert [end["count"] for end in found["endpoints"]] == [130]
