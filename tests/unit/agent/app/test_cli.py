# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mesh_agent import cli
from mesh_core import __version__
from mesh_core.http import HttpServer, Request, Response

STATUS = {
    "version": "1", "ready": True, "lacks": [],
    "workload": {"name": "api-1", "namespace": "shop", "network": "n"},
    "identity": {"state": "valid", "spiffe_id": "spiffe://x", "serial": "ab",
                 "not_after": "2030", "needs_token": False, "last_error": None},
    "control_plane": {"connected": True, "address": "c:1", "since": "2030", "source": "live",
                      "last_error": None},
    "proxy": {"ready": True, "nacks": []},
    "dns": {"names": 1, "upstreams": [], "ready": True},
    "redirect": {"applied": False, "drift": []}, "health": {"state": "unknown", "message": ""},
}  # fmt: skip


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(each) for each in arguments])
    code = ended.value.code
    if isinstance(code, str):
        raise AssertionError(f"FAILED: {code}")
    return int(code or 0)


def failure(*arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(each) for each in arguments])
    assert isinstance(ended.value.code, str)  # printed, and exit code 1
    return ended.value.code


@pytest.fixture
def config(tmp_path: Path) -> Path:
    root = tmp_path / "root.pem"
    root.write_text("-----BEGIN CERTIFICATE-----\n")
    directory = tmp_path / "config.d"
    directory.mkdir()
    content = {
        "control_plane": {"addresses": ["c:15012"], "root_certificate": str(root)},
        "workload": {
            "name": "api-1", "namespace": "shop", "service_account": "a", "addresses": ["10.0.0.1"],
        },
        "status": {"port": 1},
    }  # fmt: skip
    (directory / "agent.yaml").write_text(yaml.safe_dump(content))
    return directory


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_configuration_is_checked(config: Path) -> None:
    assert run("config", "check", config) == 0
    assert run("config", "check", "--config", config) == 0
    assert run("config", "check", "--fragment", config / "agent.yaml") == 0
    (config / "b.yaml").write_text("proxy: {concurency: 1}\n")
    expected = "b.yaml: proxy.concurency: unknown key; did you mean concurrency?"
    assert failure("config", "check", config).startswith("mesh-agent: ")
    assert expected in failure("config", "check", config)
    assert expected in failure("config", "check", "--fragment", config / "b.yaml")
    assert run("config", "check", "--fragment", config / "agent.yaml") == 0


def test_bootstrap_is_written(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "bootstrap.json"
    assert run("proxy", "bootstrap", "--config", config, "--run", "/r", "--output", output) == 0
    found = json.loads(output.read_text())
    assert found["admin"]["address"]["pipe"]["path"] == "/r/mesh-proxy/admin.sock"
    missing = tmp_path / "no" / "bootstrap.json"
    assert "no/bootstrap.json: cannot be written: No such file" in failure(
        "proxy", "bootstrap", "--config", config, "--output", missing
    )


def test_draining_without_envoy_is_one_line(config: Path, tmp_path: Path) -> None:
    text = failure("proxy", "drain", "--config", config, "--run", tmp_path)
    assert text == f"mesh-agent: {tmp_path}/mesh-proxy/admin.sock: No such file or directory"


def test_status_of_no_agent(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--config", config) == 3
    assert "the agent does not run: nothing answers on 127.0.0.1:1" in capsys.readouterr().err


@pytest.fixture
def agent(config: Path) -> Iterator[None]:
    """Somebody that answers /status where the configuration says."""
    loop = asyncio.new_event_loop()

    async def handle(request: Request) -> Response:
        return Response(200, json.dumps(STATUS).encode(), "application/json")

    server = HttpServer(handle)
    loop.run_until_complete(server.start("127.0.0.1", 0))
    (config / "agent.yaml").write_text(
        (config / "agent.yaml").read_text().replace("port: 1\n", f"port: {server.port}\n")
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield
    asyncio.run_coroutine_threadsafe(server.close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.usefixtures("agent")
def test_status(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--config", config, "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS
    assert run("status", "--config", config) == 0
    assert "shop/api-1" in capsys.readouterr().out


def test_wrong_usage_has_its_own_code() -> None:
    assert run("fly") == 2
    assert run("config") == 2
