# SPDX-License-Identifier: Apache-2.0
"""workload_entry against a real API server: many at once, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer
from lab.cluster.pki import Authority

from .conftest import RunModule

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

_READER = {
    "apiGroups": ["networking.istio.io"],
    "resources": ["workloadentries"],
    "verbs": ["list"],
}


def entry(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"app-{number}",
        "address": f"10.242.{number // 256}.{number % 256}",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "labels": {"app": "app", "version": 1},
        "network": "net-1",
        "service_account": "app",
        **changes,
    }


def warned(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """A module's warnings; where Ansible itself was imported too, they are on its screen."""
    return f"{result.get('warnings', '')} {' '.join(capsys.readouterr().err.split())}"


def stored(api: ApiServer, namespace: str) -> dict[str, Any]:
    listed = yaml.safe_load(api.kubectl("get", "workloadentries", "-n", namespace, "-o", "yaml"))
    return {item["metadata"]["name"]: item for item in listed["items"]}


def test_entries_are_made_kept_changed_and_removed(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("we-life", "app")
    options: dict[str, Any] = {"namespace": "we-life", "entries": [entry(1), entry(2)]}

    foreseen = run_module("workload_entry", options, check=True)
    assert foreseen["changed"]
    assert stored(api_server, "we-life") == {}
    made = run_module("workload_entry", options)
    assert made["created"] == foreseen["created"] == ["we-life/app-1", "we-life/app-2"]
    assert [d["after"]["spec"] for d in made["diff"]] == [
        d["after"]["spec"] for d in foreseen["diff"]
    ]
    first = stored(api_server, "we-life")["app-1"]
    assert first["spec"] == {
        "address": "10.242.0.1",
        "ports": {"http": 8080},
        "labels": {"app": "app", "version": "1"},
        "network": "net-1",
        "serviceAccount": "app",
    }
    assert first["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "hybrid.mesh"}

    again = run_module("workload_entry", options)
    assert not again["changed"]
    assert again["unchanged"] == 2
    assert stored(api_server, "we-life")["app-1"] == first

    # A value that is no longer given goes, too.
    options["entries"][0] = entry(1, weight=3, network=None)
    changed = run_module("workload_entry", options)
    assert changed["updated"] == ["we-life/app-1"]
    spec = stored(api_server, "we-life")["app-1"]["spec"]
    assert spec["weight"] == 3
    assert "network" not in spec

    gone = {**options, "entries": [{"name": "app-1"}, {"name": "app-9"}], "state": "absent"}
    assert run_module("workload_entry", gone, check=True)["deleted"] == ["we-life/app-1"]
    assert set(stored(api_server, "we-life")) == {"app-1", "app-2"}
    assert run_module("workload_entry", {**gone, "wait": True})["deleted"] == ["we-life/app-1"]
    assert set(stored(api_server, "we-life")) == {"app-2"}
    assert not run_module("workload_entry", gone)["changed"]


def test_prune_removes_what_the_set_had_and_nothing_else(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("we-prune", "app")
    common = {"namespace": "we-prune", "set": "fleet"}
    run_module("workload_entry", {**common, "entries": [entry(1), entry(2)]})
    run_module("workload_entry", {"namespace": "we-prune", "entries": [entry(3)]})
    by_hand = {**stored(api_server, "we-prune")["app-1"], "spec": {"address": "10.242.9.9"}}
    by_hand["metadata"] = {
        "name": "by-hand",
        "namespace": "we-prune",
        "labels": {"hybrid.mesh/set": "fleet"},
    }
    api_server.apply([by_hand])
    done = run_module("workload_entry", {**common, "entries": [], "prune": True})
    assert done["deleted"] == ["we-prune/app-1", "we-prune/app-2"]
    assert set(stored(api_server, "we-prune")) == {"app-3", "by-hand"}


def test_one_refused_in_the_middle_of_a_thousand(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("we-many", "app")
    entries = [entry(n) for n in range(1000)]
    entries[500] = entry(500, address="unix://relative", ports=[])
    options: dict[str, Any] = {"namespace": "we-many", "entries": entries}

    result = run_module("workload_entry", options)
    assert result["failed"]
    assert result["changed"]
    assert len(result["created"]) == 999
    assert [f["object"] for f in result["failures"]] == ["we-many/app-500"]
    assert result["failures"][0]["fields"] == ["spec.address"]
    assert "WorkloadEntry we-many/app-500: spec.address" in result["msg"]
    assert "absolute path" in result["msg"]
    assert len(stored(api_server, "we-many")) == 999

    entries[500] = entry(500)
    second = run_module("workload_entry", options)
    assert second["created"] == ["we-many/app-500"]
    assert second["unchanged"] == 999
    assert not run_module("workload_entry", options)["changed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"address": "10.242.0"}, "entries[1] (we-bad/app-1).address: expected an IP address"),
        ({"address": None, "network": None}, "entries[1] (we-bad/app-1).address: expected an addr"),
        (
            {"ports": [{"name": "http", "port": 80}, {"name": "http", "port": 8080}]},
            "entries[1] (we-bad/app-1).ports[1].name: expected each name once, found 'http' twice",
        ),
        ({"ports": [{"name": "http", "port": 70000}]}, "ports[0].port: expected 1 to 65535"),
        ({"name": "app-0"}, "entries[1] (we-bad/app-0): expected each name once, entries[0]"),
        ({"name": "App_1"}, "entries[1] (we-bad/App_1).name: expected lower case letters"),
        ({"labels": {"app": "a b"}}, "entries[1] (we-bad/app-1).labels.app: expected at most 63"),
        ({"locality": "a/b/c/d"}, "entries[1] (we-bad/app-1).locality: expected REGION"),
        ({"weight": 0}, "entries[1] (we-bad/app-1).weight: expected 1 to 4294967295"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_sent(
    api_server: ApiServer, run_module: RunModule, change: dict[str, Any], said: str
) -> None:
    api_server.namespace("we-bad", "app")
    entries = [entry(0), entry(1, **change)]
    result = run_module("workload_entry", {"namespace": "we-bad", "entries": entries})
    assert result["failed"]
    assert said in result["msg"]
    assert len(result["problems"]) == 1
    assert stored(api_server, "we-bad") == {}


def test_a_service_account_that_does_not_exist(
    api_server: ApiServer, run_module: RunModule, capsys: pytest.CaptureFixture[str]
) -> None:
    api_server.namespace("we-account", "app")
    options: dict[str, Any] = {
        "namespace": "we-account",
        "entries": [entry(1), entry(2, service_account="nobody")],
    }
    result = run_module("workload_entry", options)
    assert result["failed"]
    assert result["created"] == ["we-account/app-1"]
    assert "WorkloadEntry we-account/app-2: spec.serviceAccount: expected" in result["msg"]
    assert "'nobody'" in result["msg"]
    assert set(stored(api_server, "we-account")) == {"app-1"}
    foreseen = run_module("workload_entry", options, check=True)
    assert "failed" not in foreseen
    assert "'nobody'" in warned(foreseen, capsys)

    api_server.namespace("we-account", "app", "nobody")
    assert run_module("workload_entry", options)["created"] == ["we-account/app-2"]


def test_a_field_that_somebody_else_set_is_named_with_its_manager(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("we-conflict", "app")
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": "app-1", "namespace": "we-conflict"},
        "spec": {"address": "10.242.7.7"},
    }
    api_server.apply([body])
    options: dict[str, Any] = {"namespace": "we-conflict", "entries": [entry(1), entry(2)]}
    result = run_module("workload_entry", options)
    assert result["created"] == ["we-conflict/app-2"]
    assert result["failures"][0]["fields"] == ["spec.address"]
    assert "spec.address by lab" in result["msg"]
    forced = run_module("workload_entry", {**options, "force_conflicts": True})
    assert forced["updated"] == ["we-conflict/app-1"]
    assert stored(api_server, "we-conflict")["app-1"]["spec"]["address"] == "10.242.0.1"


def allow(api: ApiServer, namespace: str, user: str, *rules: dict[str, Any]) -> None:
    metadata = {"name": user, "namespace": namespace}
    version = "rbac.authorization.k8s.io/v1"
    role = {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    api.apply(
        [
            {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": list(rules)},
            {
                "apiVersion": version,
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role,
                "subjects": [subject],
            },
        ]
    )


def test_a_forbidden_verb_is_named_once_and_the_rest_is_not_tried(
    api_server: ApiServer, run_module: RunModule, capsys: pytest.CaptureFixture[str]
) -> None:
    api_server.namespace("we-rbac", "app")
    allow(api_server, "we-rbac", "we-reader", _READER)
    options: dict[str, Any] = {
        "namespace": "we-rbac",
        "entries": [entry(n) for n in range(100)],
        "kubeconfig": str(api_server.kubeconfig_for("we-reader")),
    }
    result = run_module("workload_entry", options)
    assert result["failed"]
    assert "may not list serviceaccounts in the namespace we-rbac" in warned(result, capsys)
    assert (
        "user 'we-reader' may not patch workloadentries of networking.istio.io in the namespace "
        "we-rbac" in result["msg"]
    )
    # Those that were on their way at the same time may have failed, too.
    assert len(result["failures"]) <= 16
    assert len(result["failures"]) + len(result["not_tried"]) == 100
    assert stored(api_server, "we-rbac") == {}

    nobody = {**options, "kubeconfig": str(api_server.kubeconfig_for("we-nobody"))}
    result = run_module("workload_entry", nobody)
    assert "user 'we-nobody' may not list workloadentries of networking" in result["msg"]


def test_access_that_does_not_work_is_said_plainly(
    api_server: ApiServer, run_module: RunModule, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"namespace": "default", "entries": []}

    def said(**access: Any) -> str:
        result = run_module("workload_entry", {**options, "entries": [entry(1)], **access})
        assert result["failed"]
        return str(result["msg"])

    absent = tmp_path / "absent"
    assert f"kubeconfig {absent}: cannot be read: No such file" in said(kubeconfig=str(absent))
    broken = tmp_path / "broken"
    broken.write_text("clusters: [")
    assert f"kubeconfig {broken}: expected YAML" in said(kubeconfig=str(broken))
    other = tmp_path / "other"
    other.write_text("a: 1")
    assert f"kubeconfig {other}: expected a mapping with clusters" in said(kubeconfig=str(other))
    assert "there is no context 'nowhere': expected one of" in said(context="nowhere")
    away = said(host="https://127.0.0.1:1")
    assert "https://127.0.0.1:1: the API server does not answer" in away
    assert "Connection refused" in away
    assert "(401)" in said(kubeconfig=_with_token(api_server, "wrong"))
    assert "certificate verify failed" in said(ca_cert=str(_other_root(tmp_path)))


def _with_token(api: ApiServer, token: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(api.kubeconfig.read_text())
    for user in found["users"]:
        user["user"] = {"token": token}
    return found


def _other_root(directory: Path) -> Path:
    path = directory / "root.pem"
    path.write_bytes(Authority.create("another root").pair.certificate)
    return path


def test_secrets_of_a_kubeconfig_given_as_a_dictionary_stay_out_of_the_result(
    api_server: ApiServer, run_module: RunModule
) -> None:
    kubeconfig = _with_token(api_server, "a-secret-that-nobody-sees")
    result = run_module(
        "workload_entry", {"namespace": "default", "entries": [], "kubeconfig": kubeconfig}
    )
    assert "a-secret-that-nobody-sees" not in str(result)
