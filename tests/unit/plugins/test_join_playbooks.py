# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens between the controller, a cluster and hosts, as a person sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")


def tasks_of(path: Path) -> list[dict[str, Any]]:
    """All tasks of a file, also those in blocks."""
    found: list[dict[str, Any]] = []
    waiting = list(yaml.safe_load(path.read_text()) or [])
    while waiting:
        task = waiting.pop()
        found.append(task)
        for part in ("block", "rescue", "always"):
            waiting += task.get(part, [])
    return found


def test_nobody_becomes_another_user_on_the_controller(checkout: Path) -> None:
    """The variable ansible_become, of all hosts of an inventory, goes before `become: false`."""
    local = [
        (path.name, task)
        for path in sorted(checkout.glob("roles/*/tasks/*.yml"))
        for task in tasks_of(path)
        if task.get("delegate_to") == "localhost"
    ]
    assert local
    for name, task in local:
        assert task.get("vars", {}).get("ansible_become") is False, f"{name}: {task['name']}"


def test_hosts_that_are_in_no_mesh_are_not_asked_to_rejoin(checkout: Path) -> None:
    (play,) = yaml.safe_load((checkout / "playbooks/rejoin.yml").read_text())
    assert set(play["hosts"].split(":")) == {"mesh_gateways", "mesh_workloads"}


@pytest.mark.skipif(not _PLAYBOOK.exists(), reason="ansible-core is not beside this Python")
def test_each_host_says_why_it_got_no_token(tmp_path: Path, checkout: Path) -> None:
    link = tmp_path / "collections" / "ansible_collections" / "hybrid" / "mesh"
    link.parent.mkdir(parents=True)
    link.symlink_to(checkout)
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "mesh_control_plane_type": "istiod",
        "mesh_kubeconfig": "/nowhere/config",
        "mesh_workload_group": "api",
    }
    hosts: dict[str, Any] = {"api-1": {}, "api-2": {}}
    mesh = {"children": {"mesh_workloads": {"hosts": hosts, "vars": variables}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"mesh": mesh}}}))
    role = {"name": "hybrid.mesh.agent", "tasks_from": "token"}
    task = {"name": "Token", "ansible.builtin.import_role": role}
    play = {"hosts": "mesh", "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    keep = {key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ}
    run = subprocess.run(
        [str(_PLAYBOOK), "-i", "hosts.yml", "play.yml"],
        env={
            **keep,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "collections"),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert run.returncode != 0
    for host in hosts:
        said = f"{host}: no join token: kubeconfig /nowhere/config: cannot be read"
        assert said in run.stdout, run.stdout + run.stderr
