# SPDX-License-Identifier: Apache-2.0
"""Modules run against the real API server, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer

from . import modules

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def run_module(api_server: ApiServer) -> RunModule:
    """``run_module(NAME, OPTIONS, check=False)``: the result.

    The user is an administrator, unless the options have another ``kubeconfig``. ``host=True`` for
    a module that works on a host and knows no cluster.
    """

    def run(
        name: str, options: dict[str, Any], *, check: bool = False, host: bool = False
    ) -> dict[str, Any]:
        access = {} if host else {"kubeconfig": str(api_server.kubeconfig)}
        return modules.run_module(name, {**access, **options}, check=check)

    return run


@pytest.fixture
def checkout() -> Path:
    """The root of the collection."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def played(tmp_path: Path, checkout: Path) -> Callable[..., str]:
    """``played(HOSTS, TASKS, VARIABLES)``: the output of a play that must fail, on local hosts."""
    link = tmp_path / "collections" / "ansible_collections" / "hybrid" / "mesh"
    link.parent.mkdir(parents=True)
    link.symlink_to(checkout)

    def run(
        hosts: dict[str, Any], tasks: list[dict[str, Any]], variables: dict[str, Any], **play: Any
    ) -> str:
        here = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "mesh_control_plane_type": "istiod",
            "mesh_workload_group": "web",
            "mesh_address": "192.0.2.7",
        }
        members = {"mesh_workloads": {"hosts": hosts}}
        mesh = {"children": members, "vars": {**here, **variables}}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"mesh": mesh}}}))
        plays = [{"hosts": "mesh", "gather_facts": False, "tasks": tasks, **play}]
        (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
        done = modules.ansible(tmp_path, "ansible-playbook", "-i", "hosts.yml", "play.yml")
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    return run
