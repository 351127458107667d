# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens between the controller, a cluster and hosts, as a person sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
NOBODY = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


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


def test_the_controller_is_itself_whatever_the_inventory_says(checkout: Path) -> None:
    """Variables of an inventory, of all its hosts or of localhost, go before keywords."""
    here = {
        "ansible_become": False,
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    local = [
        (path.name, task)
        for path in sorted(checkout.glob("roles/*/tasks/*.yml"))
        for task in tasks_of(path)
        if task.get("delegate_to") == "localhost"
    ]
    assert local
    for name, task in local:
        assert task.get("vars") == here, f"{name}: {task['name']}"


def test_tokens_are_not_shown(checkout: Path) -> None:
    makers = ("hybrid.mesh.join_token", "hybrid.mesh.workload_bootstrap")
    issuing = [
        (path, task)
        for folder in ("roles", "playbooks")
        for path in sorted((checkout / folder).rglob("*.yml"))
        for task in every_task(yaml.safe_load(path.read_text()))
        if set(makers) & set(task)
    ]
    assert {maker for _path, task in issuing for maker in makers if maker in task} == set(makers)
    for path, task in issuing:
        assert task.get("no_log") is True, f"{path}: {task['name']}"


def every_task(content: Any) -> Iterator[dict[str, Any]]:
    """Everything in a file of YAML that could be a task, wherever it stands."""
    waiting = [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def test_hosts_that_are_in_no_mesh_are_not_asked_to_rejoin(checkout: Path) -> None:
    (play,) = yaml.safe_load((checkout / "playbooks/rejoin.yml").read_text())
    assert set(play["hosts"].split(":")) == {"mesh_gateways", "mesh_workloads"}


class Mesh:
    """Plays against hosts that are all this machine, or nobody. The checkout is the collection."""

    def __init__(self, directory: Path, checkout: Path) -> None:
        self._directory = directory
        link = directory / "collections" / "ansible_collections" / "hybrid" / "mesh"
        link.parent.mkdir(parents=True)
        link.symlink_to(checkout)
        self.groups: dict[str, Any] = {}
        self.variables: dict[str, Any] = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "mesh_workload_group": "api",
        }

    def __call__(self, play: str | dict[str, Any], *arguments: str) -> str:
        """What the playbook of the collection, or the play, prints. It has to fail."""
        mesh = {"children": self.groups, "vars": self.variables}
        inventory = {"all": {"children": {"mesh": mesh}}}
        (self._directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
        if isinstance(play, dict):
            (self._directory / "play.yml").write_text(yaml.safe_dump([play]))
            play = "play.yml"
        keep = {key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ}
        run = subprocess.run(
            [str(_PLAYBOOK), "-i", "hosts.yml", play, *arguments],
            env={
                **keep,
                "LC_ALL": "C.UTF-8",
                "ANSIBLE_COLLECTIONS_PATH": str(self._directory / "collections"),
                "ANSIBLE_HOME": str(self._directory / "ansible"),
                "ANSIBLE_NOCOLOR": "1",
            },
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        said = run.stdout + run.stderr
        assert run.returncode != 0, said
        return said


@pytest.fixture
def mesh(tmp_path: Path, checkout: Path) -> Mesh:
    if not _PLAYBOOK.exists():
        pytest.skip("ansible-core is not beside this Python")
    return Mesh(tmp_path, checkout)


def role(name: str, tasks: str) -> dict[str, Any]:
    """A play of all hosts with the tasks of a role."""
    task = {
        "name": tasks,
        "ansible.builtin.import_role": {"name": f"hybrid.mesh.{name}", "tasks_from": tasks},
    }
    return {"hosts": "mesh", "gather_facts": False, "tasks": [task]}


def test_each_host_says_why_it_got_no_token(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {}, "api-2": {}}}
    said = mesh(role("agent", "token"))
    for host in ("api-1", "api-2"):
        assert f"{host}: no join token: kubeconfig /nowhere/config: cannot be read" in said


def test_the_controller_is_not_asked_the_way_to_itself(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {}}}
    mesh.groups["elsewhere"] = {"hosts": {"localhost": dict(NOBODY)}}
    said = mesh({**role("agent", "token"), "hosts": "mesh_workloads"})
    assert "api-1: no join token: kubeconfig /nowhere/config: cannot be read" in said


def test_a_host_that_cannot_be_asked_does_not_keep_tokens_from_others(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    broken = {"ansible_python_interpreter": "/nowhere/python"}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {}, "api-2": broken}}
    play = role("agent", "token")
    stays = {"name": "Stay in the run", "ansible.builtin.debug": {"msg": "rescued"}}
    block = {"name": "Join", "block": play["tasks"], "rescue": [stays]}
    said = mesh({**play, "tasks": [block, {"name": "End", "ansible.builtin.fail": {}}]})
    assert "api-1: no join token: kubeconfig /nowhere/config: cannot be read" in said


def test_tokens_are_not_issued_in_the_background(mesh: Mesh) -> None:
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {}}}
    bootstrap = {"name": "Issue", "hybrid.mesh.workload_bootstrap": {"hosts": []}, "async": 9}
    said = mesh({"hosts": "mesh", "gather_facts": False, "tasks": [bootstrap]})
    assert "does not support async" in said


def test_a_control_plane_that_nobody_reaches_is_every_hosts_reason(mesh: Mesh) -> None:
    mesh.groups["mesh_control_plane"] = {"hosts": {"cp": dict(NOBODY)}}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {}, "api-2": {}}}
    said = mesh({**role("agent", "token"), "hosts": "mesh_workloads"})
    for host in ("api-1", "api-2"):
        assert f"{host}: no join token: " in said


def test_each_host_that_leaves_says_that_its_entry_is_left(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    hosts = {f"api-{n}": {"mesh_address": f"10.0.0.{n}"} for n in (1, 2)}
    mesh.groups["mesh_workloads"] = {"hosts": hosts}
    said = mesh(role("workload", "gone"))
    for host, address in (("api-1", "10.0.0.1"), ("api-2", "10.0.0.2")):
        entry = f"default/api-{address}-network-1"
        assert f"{host}: its agent is stopped, and its WorkloadEntry {entry} is still in" in said
    assert "kubeconfig /nowhere/config: cannot be read" in said


def test_a_name_that_no_entry_has_keeps_no_other_host_back(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    mesh.groups["mesh_workloads"] = {
        "hosts": {
            "api-1": {"mesh_address": "10.0.0.1"},
            "api-2": {"mesh_address": "10.0.0.2", "mesh_namespace": "No_Namespace"},
            "api-3": {"mesh_address": "10.0.0.3", "mesh_workload_group": "No Group"},
        }
    }
    said = mesh(role("workload", "gone"))
    assert "default/api-10.0.0.1-network-1 is still in" in said
    assert "kubeconfig /nowhere/config: cannot be read" in said


def test_a_host_is_told_that_its_control_plane_has_no_known_address(mesh: Mesh) -> None:
    """The control plane is in the inventory, not in the run, and nobody reaches it."""
    mesh.groups["mesh_control_plane"] = {"hosts": {"cp": dict(NOBODY)}}
    mesh.groups["mesh_gateways"] = {"hosts": {"gw": dict(NOBODY)}}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": {"mesh_address": "127.0.0.1"}}}
    said = mesh(role("preflight", "main"), "--limit", "api-1")
    assert "the address of the control plane cp is not known (" in said
    assert "Connection refused): set its mesh_address" in said
    mesh.groups["mesh_control_plane"]["hosts"]["cp"]["mesh_address"] = "10.0.0.9"
    said = mesh(role("preflight", "main"), "--limit", "api-1")
    assert "127.0.0.1 is not on this host" in said
    assert "the address of the control plane" not in said


def test_reconcile_judges_hosts_that_nobody_reaches(mesh: Mesh) -> None:
    mesh.variables |= {"mesh_control_plane_type": "istiod", "mesh_kubeconfig": "/nowhere/config"}
    mesh.groups["mesh_workloads"] = {"hosts": {"api-1": dict(NOBODY), "api-2": dict(NOBODY)}}
    said = mesh("hybrid.mesh.reconcile")
    assert "kubeconfig /nowhere/config: cannot be read" in said
