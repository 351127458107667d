# SPDX-License-Identifier: Apache-2.0
"""Tokens of a cluster: they are shown to nobody, and what could not be checked of them is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule
from .modules import ansible
from .test_workload_entry import warned

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


@pytest.fixture
def given(api_server: ApiServer, istiod: Istiod) -> dict[str, Any]:
    """Options of the module for one host."""
    api_server.namespace("tokens", "api")
    api_server.kubectl(
        *("wait", "configmap/istio-ca-root-cert", "--for=create"),
        *("--namespace=tokens", "--timeout=30s"),
    )
    return {
        "hosts": [{"name": "a", "namespace": "tokens", "service_account": "api"}],
        "cluster_id": istiod.cluster_id,
        "control_plane_addresses": ["192.0.2.1:15012"],
    }


def test_no_token_is_printed_where_no_log_was_forgotten(
    api_server: ApiServer, given: dict[str, Any], tmp_path: Path, checkout: Path
) -> None:
    link = tmp_path / "collections" / "ansible_collections" / "hybrid" / "mesh"
    link.parent.mkdir(parents=True)
    link.symlink_to(checkout)
    without = {"name": "b", "namespace": "tokens", "service_account": "none"}
    given |= {"kubeconfig": str(api_server.kubeconfig)}

    def printed(**changes: Any) -> str:
        done = ansible(
            tmp_path,
            *("ansible", "localhost", "-vvv", "-m", "hybrid.mesh.workload_bootstrap"),
            *("-a", json.dumps({**given, **changes})),
            *("-e", f"ansible_python_interpreter={sys.executable}"),
        )
        return done.stdout + done.stderr

    for hosts in (given["hosts"], [*given["hosts"], without]):
        said = printed(hosts=hosts)
        assert "the output has been hidden" in said
        assert "eyJ" not in said  # how every token begins
        missing = "b: ServiceAccount tokens/none does not exist" in " ".join(said.split())
        assert missing == (without in hosts)
    # Without a token there is nothing to hide.
    assert "ServiceAccount tokens/none does not exist" in printed(hosts=[without])


def test_a_cluster_id_that_could_not_be_compared_is_said(
    given: dict[str, Any], run_module: RunModule, capsys: pytest.CaptureFixture[str]
) -> None:
    """This cluster injects no sidecars, and so does not say what it calls itself."""
    result = run_module("workload_bootstrap", {**given, "cluster_id": "cluster9"})
    assert not result.get("failed"), result
    said = warned(result, capsys)
    assert "cluster_id: found cluster9, could not be compared" in said
    assert "ConfigMap istio-system/istio-sidecar-injector does not exist" in said
