# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is reached: no secret of a kubeconfig in results and logs, and paths as meant."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.inventory.mesh import from_cluster
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import connection
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

_MODULES = "ansible_collections.hybrid.mesh.plugins.modules"
# Nothing listens there.
_SERVER = "https://127.0.0.1:1"


def kubeconfig(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": _SERVER}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cluster_config", {"objects": {}, "set": "s"}),
        ("mesh_info", {}),
        ("registry_reconcile", {"hosts": [{"group": "g"}]}),
        ("workload_bootstrap", {"hosts": []}),
        ("workload_entry", {"entries": []}),
        ("workload_group", {"groups": []}),
        ("workload_group", {"groups": [], "mistyped": True}),
    ],
)
@pytest.mark.parametrize(
    "user",
    [
        {"token": "hidden-7"},
        {"auth-provider": {"name": "oidc", "config": {"refresh-token": "hidden-7"}}},
        {"exec": {"command": "/nothing", "env": [{"name": "PASS", "value": "hidden-7"}]}},
    ],
)
def test_secrets_of_a_kubeconfig_stay_in_it(
    name: str, options: dict[str, Any], user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, log_args: logged.append(text))
    main = importlib.import_module(f"{_MODULES}.{name}").main
    result = run_module(main, {"kubeconfig": kubeconfig(user), **options})
    assert "invocation" in result
    assert "hidden-7" not in json.dumps(result)
    assert not any("hidden-7" in text for text in logged)


def test_files_are_looked_for_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere/home")
    with pytest.raises(ClusterError, match=r"ca_cert: .*\(/nowhere/home/ca\.pem\)"):
        connection.connect({"host": _SERVER, "ca_cert": "~/ca.pem"})


def test_missing_files_of_kubeconfig_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.write_text(yaml.safe_dump(kubeconfig({"token": "x"})))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/away:{there}")
    assert connection.connect({}).server == _SERVER
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/away")
    with pytest.raises(ClusterError, match=f"kubeconfig {tmp_path}/away: cannot be read"):
        connection.connect({})


@pytest.mark.parametrize(("value", "checked"), [("no", False), ("False", False), ("true", True)])
def test_the_environment_means_the_same_to_an_inventory(
    value: str, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def connect(params: dict[str, Any]) -> Any:
        asked.append(params["validate_certs"])
        raise ClusterError("enough")

    monkeypatch.setenv("K8S_AUTH_VERIFY_SSL", value)
    monkeypatch.setattr(connection, "connect", connect)
    with pytest.raises(ClusterError, match="enough"):
        from_cluster("here", {})
    assert asked == [checked]
