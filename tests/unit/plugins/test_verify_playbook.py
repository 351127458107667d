# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/verify.yml as a person runs it, with hosts that are all this machine."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")

pytestmark = pytest.mark.skipif(
    not _PLAYBOOK.exists(), reason="ansible-core is not installed beside this Python"
)


@pytest.fixture
def port() -> Iterator[int]:
    """A server that greets everyone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    with connection:
                        connection.recv(100)
                        connection.sendall(b"hello\n")

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class _Verify:
    """Runs the playbook from a collection path in which the checkout is the collection."""

    def __init__(self, directory: Path, checkout: Path) -> None:
        self.directory = directory
        collections = directory / "collections"
        link = collections / "ansible_collections" / "hybrid" / "mesh"
        link.parent.mkdir(parents=True)
        link.symlink_to(checkout)
        keep = {key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ}
        self._environment = {
            **keep,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "150",
        }

    def __call__(self, calls: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Hosts: web in the mesh, gone in it but not to be reached, outsider."""
        workloads = {
            "web": {"mesh_address": "10.0.0.1"},
            "gone": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1},
        }
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
            "mesh_calls": calls,
            "mesh_verify_directory": str(self.directory / "proof"),
        }
        mesh = {
            "vars": {"mesh_network": "n1"},
            "children": {"mesh_workloads": {"hosts": workloads}},
        }
        inventory = self.directory / "hosts.yml"
        inventory.write_text(
            yaml.safe_dump(
                {"all": {"vars": variables, "hosts": {"outsider": {}}, "children": {"mesh": mesh}}}
            )
        )
        return subprocess.run(
            [str(_PLAYBOOK), "-i", str(inventory), "hybrid.mesh.verify", *arguments],
            env=self._environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )

    def proof(self) -> Any:
        return json.loads((self.directory / "proof" / "verify.json").read_text())


@pytest.fixture
def verify(tmp_path: Path, checkout: Path) -> _Verify:
    return _Verify(tmp_path, checkout)


def test_a_mesh_that_is_as_expected(verify: _Verify, port: int) -> None:
    calls = [
        {"from": "web", "url": f"tcp://127.0.0.1:{port}", "expect": "allowed", "plaintext": True},
        {"from": "outsider", "to": "web", "url": "tcp://127.0.0.1:1", "expect": "refused"},
        {"from": "web", "url": "tcp://localhost:1", "expect": "refused"},
    ]
    run = verify(calls)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All 3 calls went as expected." in run.stdout
    assert "changed=1" not in run.stdout
    proof = verify.proof()
    assert [(call["from"], call["outcome"], call["to"]) for call in proof["calls"]] == [
        ("web", "allowed", ["gone"]),  # by its address
        ("outsider", "refused", ["web"]),
        ("web", "refused", []),
    ]
    assert {host["name"] for host in proof["hosts"]} == {"web", "gone", "outsider"}
    ElementTree.parse(verify.directory / "proof" / "verify.xml")  # noqa: S314 - it is our own
    assert (
        "All 3 calls went as expected" in (verify.directory / "proof" / "verify.html").read_text()
    )


def test_a_mesh_that_is_not(verify: _Verify, port: int) -> None:
    calls = [
        {"from": "web", "url": f"tcp://127.0.0.1:{port}", "expect": "refused"},
        {"from": "outsider", "url": f"tcp://127.0.0.1:{port}", "expect": "allowed"},
        {"from": "gone", "url": f"tcp://127.0.0.1:{port}", "expect": "refused"},
        {"from": "outsider", "url": "tcp://127.0.0.1:1", "expect": "refused"},
    ]
    run = verify(calls)
    assert run.returncode == 2, run.stdout + run.stderr
    assert "3 of 4 calls did not go as expected: 1 web ->" in run.stdout + run.stderr
    first, second, third, fourth = verify.proof()["calls"]
    assert first["reason"] == "expected refused, found allowed: hello"
    assert "nothing shows mutual TLS" in second["reason"]
    assert third["outcome"] == "not made"
    assert "Ansible did not reach the host" in third["reason"]
    assert fourth["ok"] is True


def test_a_host_without_python_is_told(verify: _Verify) -> None:
    calls = [
        {"from": host, "url": "tcp://127.0.0.1:1", "expect": "refused"}
        for host in ("web", "outsider")
    ]
    run = verify(calls, "-e", "ansible_python_interpreter=/no/python")
    assert run.returncode == 2
    assert "2 of 2 calls did not go as expected" in run.stdout + run.stderr
    assert {call["outcome"] for call in verify.proof()["calls"]} == {"not made"}


def test_an_unknown_host_is_named_before_any_call(verify: _Verify, port: int) -> None:
    calls = [
        {"from": "web", "url": f"tcp://127.0.0.1:{port}", "expect": "allowed"},
        {"from": "wbe", "url": f"tcp://127.0.0.1:{port}", "expect": "allowed"},
    ]
    run = verify(calls)
    assert run.returncode == 2
    assert "mesh_calls[1].from: no host 'wbe' in the inventory; did you mean 'web'?" in (
        run.stdout + run.stderr
    )
    assert "Make the calls" not in run.stdout
    assert not (verify.directory / "proof").exists()


def test_some_of_the_hosts(verify: _Verify, port: int) -> None:
    calls = [
        {"from": host, "url": f"tcp://127.0.0.1:{port}", "expect": "allowed", "plaintext": True}
        for host in ("web", "gone", "outsider")
    ]
    run = verify(calls, "--limit", "web,outsider", "--check")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All 2 calls went as expected." in run.stdout
    # In check mode nothing is written.
    assert not (verify.directory / "proof").exists()


def test_nothing_to_prove_is_no_success(verify: _Verify, port: int) -> None:
    call = {"from": "web", "url": f"tcp://127.0.0.1:{port}", "expect": "allowed"}
    run = verify([call], "--limit", "outsider")
    assert run.returncode == 2
    assert "None of the 1 calls of mesh_calls starts at a host of this run" in (
        run.stdout + run.stderr
    )
