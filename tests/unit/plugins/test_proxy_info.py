# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's Envoy has, and that no secret of it leaves the host."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._config_dump import summary
from ansible_collections.hybrid.mesh.plugins.module_utils._config_dump.redact import redact
from ansible_collections.hybrid.mesh.plugins.modules.proxy_info import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

from mesh_core import pki

ANSWERS: dict[str, Any] = {
    "/server_info": {
        "version": "abc/1.40.0/Clean/RELEASE/BoringSSL",
        "state": "LIVE",
        "node": {"id": "sidecar~192.0.2.1~web.shop~shop.svc.cluster.local"},
    },
    "/listeners?format=json": {
        "listener_statuses": [
            {
                "name": "virtualInbound",
                "local_address": {"socket_address": {"address": "::", "port_value": 15006}},
            }
        ]
    },
    "/clusters?format=json": {
        "cluster_statuses": [
            {
                "name": "b",
                "host_statuses": [
                    {
                        "address": {"socket_address": {"address": "192.0.2.2", "port_value": 80}},
                        "health_status": {"eds_health_status": "HEALTHY"},
                        "weight": 3,
                    },
                    {
                        "address": {"pipe": {"path": "/run/x.sock"}},
                        "health_status": {
                            "eds_health_status": "HEALTHY",
                            "failed_outlier_check": True,
                        },
                    },
                ],
            },
            {"name": "a"},
        ]
    },
    "/certs": {
        "certificates": [
            {
                "cert_chain": [
                    {
                        "serial_number": "1f",
                        "subject_alt_names": [{"uri": "spiffe://cluster.local/ns/shop/sa/web"}],
                        "valid_from": "2026-05-01T12:00:00Z",
                        "expiration_time": "2026-05-02T12:00:00Z",
                    }
                ]
            }
        ]
        * 2
    },
    "/config_dump?include_eds": {"configs": []},
}


@pytest.fixture
def key() -> str:
    """A private key, as a careless operator may have put it anywhere."""
    return pki.new_key().decode()


@pytest.fixture
def admin(tmp_path: Path, key: str) -> Iterator[str]:
    """An administration interface that answers as Envoy does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {**ANSWERS, "/config_dump?include_eds": {"configs": [{"note": key}]}}
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_arguments: Any) -> None:
            pass

    path = str(tmp_path / "admin.sock")
    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def ask(socket: str, tmp_path: Path, **more: Any) -> dict[str, Any]:
    return run_module(
        main, {"admin_socket": socket, "program": str(tmp_path / "mesh-agent"), **more}
    )


def test_it_says_what_envoy_has(admin: str, tmp_path: Path) -> None:
    found = ask(admin, tmp_path)
    assert found["proxy"] == {
        "state": "running",
        "message": "",
        "version": "1.40.0",
        "ready": True,
        "node": "sidecar~192.0.2.1~web.shop~shop.svc.cluster.local",
        "listeners": [{"name": "virtualInbound", "address": "[::]:15006"}],
        "clusters": [
            {"name": "a", "endpoints": []},
            {
                "name": "b",
                "endpoints": [
                    {"address": "192.0.2.2:80", "healthy": True, "weight": 3},
                    {"address": "/run/x.sock", "healthy": False, "weight": 1},
                ],
            },
        ],
        "certificates": [
            {
                "kind": "cert_chain",
                "serial": "1f",
                "names": ["spiffe://cluster.local/ns/shop/sa/web"],
                "not_before": "2026-05-01T12:00:00Z",
                "not_after": "2026-05-02T12:00:00Z",
            }
        ],
    }
    assert found["agent"]["state"] == "absent"
    assert "config_dump" not in found


def test_a_dump_holds_no_key(admin: str, tmp_path: Path, key: str) -> None:
    found = ask(admin, tmp_path, config_dump=True)
    assert found["config_dump"] == {"configs": [{"note": "[redacted]"}]}
    assert found["clusters_dump"] == ANSWERS["/clusters?format=json"]
    assert "PRIVATE KEY" not in json.dumps(found)


def test_a_host_without_envoy_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    found = ask(str(path), tmp_path, config_dump=True)
    assert "failed" not in found
    assert found["proxy"]["state"] == "stopped"
    assert found["proxy"]["message"] == f"{path}: Envoy does not answer: No such file or directory"
    assert found["proxy"]["clusters"] == []


@pytest.mark.parametrize("name", ["private_key", "privateKey", "password", "sessionTicketKeys"])
@pytest.mark.parametrize("content", ["inline_bytes", "inlineString", "environment_variable"])
def test_what_holds_a_secret_by_its_name_is_emptied(name: str, content: str) -> None:
    found = redact({"tls": [{name: {content: "c2VjcmV0"}, "certificate_chain": {"a": "b"}}]})
    assert "c2VjcmV0" not in json.dumps(found)
    assert found["tls"][0]["certificate_chain"] == {"a": "b"}
    if content == "inline_bytes":  # istioctl reads it as base64
        assert base64.b64decode(found["tls"][0][name][content]) == b"[redacted]"


def test_where_a_secret_lies_may_be_told() -> None:
    assert redact({"private_key": {"filename": "/etc/key.pem"}}) == {
        "private_key": {"filename": "/etc/key.pem"}
    }


def test_a_key_is_found_wherever_it_stands(key: str) -> None:
    encoded = base64.b64encode(key.encode()).decode()
    assert redact(["text", key, {"any": encoded}]) == ["text", "[redacted]", {"any": "[redacted]"}]


@pytest.mark.parametrize(
    ("status", "healthy"),
    [
        ({}, True),
        ({"eds_health_status": "UNHEALTHY"}, False),
        ({"eds_health_status": "DRAINING"}, False),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True}, False),
        ({"eds_health_status": "HEALTHY", "pending_dynamic_removal": True}, True),
    ],
)
def test_health_is_whether_envoy_sends_traffic(status: dict[str, Any], healthy: bool) -> None:
    answer = {"cluster_statuses": [{"name": "a", "host_statuses": [{"health_status": status}]}]}
    assert summary.clusters(answer)[0]["endpoints"][0]["healthy"] is healthy
