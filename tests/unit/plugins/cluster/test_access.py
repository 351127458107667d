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


def test_a_password_is_for_basic_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")  # not looked at
    api = connection.connect({"host": _SERVER, "username": "u", "password": "p"})
    assert api._headers() == [("Authorization", "Basic dTpw")]


@pytest.mark.parametrize(
    "options",
    [
        {"username": "u", "password": "hidden-7"},
        {"proxy_headers": {"user_agent": "x", "proxy_basic_auth": "hidden-7"}},
        {"persist_config": False},
    ],
)
def test_the_options_of_kubernetes_core_are_taken(options: dict[str, Any]) -> None:
    main = importlib.import_module(f"{_MODULES}.workload_entry").main
    result = run_module(main, {"kubeconfig": kubeconfig({}), "entries": [], **options})
    assert "Unsupported parameters" not in result.get("msg", "")
    assert "hidden-7" not in json.dumps(result)


@pytest.mark.parametrize("persist", [True, False])
def test_tokens_that_are_refreshed_are_kept_if_wanted(
    persist: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loader:
        def __init__(self, **options: Any) -> None:
            keeps.append(options["config_persister"])

        def load_and_set(self, configuration: Any) -> None:
            configuration.host = _SERVER

    keeps: list[Any] = []
    monkeypatch.setattr("kubernetes.config.kube_config.KubeConfigLoader", Loader)
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig({"auth-provider": {"name": "oidc", "config": {}}})))
    connection.connect({"kubeconfig": str(path), "persist_config": persist})
    (keep,) = keeps
    assert (getattr(keep, "__name__", None) == "save_changes") == persist


@pytest.mark.parametrize("variable", ["K8S_AUTH_VALIDATE_CERTS", "K8S_AUTH_VERIFY_SSL"])
@pytest.mark.parametrize(("value", "checked"), [("no", False), ("False", False), ("true", True)])
def test_the_environment_means_the_same_to_an_inventory(
    value: str, checked: bool, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def connect(params: dict[str, Any]) -> Any:
        asked.append((params["validate_certs"], params["proxy_headers"]["user_agent"]))
        raise ClusterError("enough")

    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("K8S_AUTH_PROXY_HEADERS_USER_AGENT", "agent/1")
    monkeypatch.setattr(connection, "connect", connect)
    with pytest.raises(ClusterError, match="enough"):
        from_cluster("here", {})
    assert asked == [(checked, "agent/1")]
