# SPDX-License-Identifier: GPL-3.0-or-later
"""The module mesh_call: real calls, with a proof log that the test writes as a proxy would."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hybrid.mesh.plugins.modules import mesh_call
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

_PEER = "spiffe://cluster.local/ns/shop/sa/api"


class _Server(ThreadingHTTPServer):
    """Answers 200 to /, 403 as Envoy does to /denied, and writes the proof log for /meshed."""

    proof_log: Path
    answered = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.answered += 1
        if self.path == "/meshed":
            self._prove()
        body = json.dumps({"version": "v1" if self.server.answered % 4 else "v2"}).encode()
        if self.path == "/denied":
            body = b"RBAC: access denied"
        self.send_response(403 if self.path == "/denied" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _prove(self) -> None:
        line = {
            "downstream_remote_address": f"127.0.0.1:{self.client_address[1]}",
            "start_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "upstream_host": "10.231.1.21:8080",
            "upstream_peer_uri_san": _PEER,
            "upstream_tls_version": "TLSv1.3",
            "response_flags": "-",
        }
        with self.server.proof_log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.proof_log = tmp_path / "proof.log"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _run(server: _Server, *calls: dict[str, Any], check: bool = False) -> dict[str, Any]:
    port = server.server_address[1]
    filled = [{**call, "url": call["url"].replace("SERVER", f"127.0.0.1:{port}")} for call in calls]
    log = {"proof_log": str(server.proof_log), "proof_timeout": 0.3}
    return run_module(mesh_call.main, {"calls": filled, **log}, check=check)


def test_calls_over_the_mesh(server: _Server) -> None:
    server.proof_log.touch()
    call = {"url": "http://SERVER/meshed", "expect": "allowed", "peer": _PEER, "count": 40}
    result = _run(server, {**call, "name": "api", "spread": {"v1": 75, "v2": 25}})
    assert result["changed"] is False
    (found,) = result["results"]
    assert (found["name"], found["ok"], found["outcome"]) == ("api", True, "allowed")
    assert found["answers"] == {"v1": 30, "v2": 10}
    assert (found["peer"], found["path"], found["count"]) == (_PEER, "direct", 40)
    assert found["identity_checked"] is True


def test_an_answer_without_evidence_fails(server: _Server) -> None:
    server.proof_log.touch()
    result = _run(server, {"url": "http://SERVER/", "expect": "allowed"})
    assert result["failed"] is True
    assert "1 of 1 calls went otherwise than expected" in result["msg"]
    assert "nothing shows mutual TLS" in result["results"][0]["reason"]


def test_several_calls_of_a_host_outside_of_the_mesh(server: _Server) -> None:
    result = _run(
        server,
        {"url": "http://SERVER/", "expect": "allowed", "plaintext": True},
        {"url": "http://SERVER/denied", "expect": "forbidden"},
        {"url": "tcp://127.0.0.1:1", "expect": "refused"},
        {"url": "http://no-such-host.invalid/", "expect": "unreachable"},
    )
    assert [(one["outcome"], one["ok"]) for one in result["results"]] == [
        ("allowed", True),
        ("forbidden", True),
        ("refused", True),
        ("unreachable", True),
    ]
    assert result["results"][0]["name"].startswith("127.0.0.1:")


def test_a_call_without_an_answer_is_not_repeated(server: _Server) -> None:
    call = {"url": "http://no-such-host.invalid/", "expect": "allowed", "count": 40}
    other = {"url": "http://SERVER/", "expect": "allowed", "plaintext": True, "count": 3}
    lost, found = _run(server, call, other)["results"]
    assert (lost["ok"], lost["outcome"], lost["count"]) == (False, "unreachable", 1)
    assert (found["ok"], found["count"]) == (True, 3)


def test_check_mode_makes_the_calls_too(server: _Server) -> None:
    call = {"url": "http://SERVER/", "expect": "allowed", "plaintext": True}
    assert _run(server, call, check=True)["results"][0]["ok"] is True
    assert server.answered == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"url": "ftp://a", "expect": "allowed"}, "calls[1].url: 'ftp://a' has the scheme"),
        ({"url": "tcp://a:1", "expect": "refused", "count": 0}, "calls[1].count: found 0"),
        ({"url": "tcp://a:1", "expect": "no"}, "must be one of: allowed, forbidden"),
        (
            {"url": "http://a/", "expect": "allowed", "spread": {"v1": 1, "v2": 1}},
            "calls[1].count: 1 calls are too few",
        ),
    ],
)
def test_bad_arguments_are_named_before_any_call(
    server: _Server, call: dict[str, Any], message: str
) -> None:
    good = {"url": "http://SERVER/", "expect": "allowed", "plaintext": True}
    result = _run(server, good, call)
    assert result["failed"] is True
    assert message in result["msg"]
    assert server.answered == 0


def test_a_log_that_cannot_be_read(server: _Server) -> None:
    server.proof_log.mkdir()
    result = _run(server, {"url": "http://SERVER/", "expect": "allowed", "plaintext": True})
    assert result["failed"] is True
    assert str(server.proof_log) in result["msg"]
    assert server.answered == 0


def test_the_documentation_lists_what_is_returned(server: _Server) -> None:
    call = {"url": "http://SERVER/", "expect": "allowed", "plaintext": True}
    (found,) = _run(server, call)["results"]
    described = yaml.safe_load(mesh_call.RETURN)["results"]["contains"]
    assert set(found) == set(described)


def test_the_plan_knows_every_option_of_a_call() -> None:
    from ansible_collections.hybrid.mesh.plugins.module_utils._proof.plan import CALL_KEYS

    assert set(CALL_KEYS) == set(mesh_call.argument_spec()["calls"]["options"])


def test_the_module_says_where_its_log_is() -> None:
    text = yaml.safe_load(mesh_call.DOCUMENTATION)["options"]["proof_log"]["default"]
    assert re.fullmatch(r"/var/log/mesh-proxy/proof\.log", text)
