# SPDX-License-Identifier: Apache-2.0
"""What the README of the role cluster has an administrator run, run as it is printed."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster import ApiServer, Istiod
from lab.tools import tool

from .conftest import RunModule

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


@pytest.fixture
def namespaces(api_server: ApiServer, istiod: Istiod) -> Iterator[None]:
    """Those that the README speaks of; what it makes outside the hosts' goes again."""
    assert istiod.cluster_id
    api_server.namespace("shop", "api")
    yield
    made = ("serviceaccount/hybrid-mesh", "rolebinding/hybrid-mesh")
    api_server.kubectl("delete", "--ignore-not-found", "--namespace=istio-system", *made)
    api_server.kubectl("delete", "--ignore-not-found", "clusterrolebinding", "hybrid-mesh")


@pytest.mark.usefixtures("namespaces")
def test_the_user_that_it_makes_has_the_rights(
    checkout: Path, api_server: ApiServer, run_module: RunModule, tmp_path: Path
) -> None:
    readme = (checkout / "roles/cluster/README.md").read_text()
    script = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    collection = tmp_path / ".ansible/collections/ansible_collections/hybrid/mesh"
    collection.parent.mkdir(parents=True)
    collection.symlink_to(checkout)
    environment = {
        "HOME": str(tmp_path),
        "KUBECONFIG": str(api_server.kubeconfig),
        "PATH": f"{tool('kubectl').parent}:{os.environ['PATH']}",
    }
    subprocess.run(
        ["sh", "-eu"], input="".join(script), text=True, env=environment, cwd=tmp_path, check=True
    )
    made = tmp_path / "hybrid-mesh.kubeconfig"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    options = {"namespaces": ["shop"], "permissions": True, "set": "mesh"}
    seen = run_module("mesh_info", {**options, "kubeconfig": str(made)})
    assert "failed" not in seen, seen
    assert seen["missing_permissions"] == []
