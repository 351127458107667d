# SPDX-License-Identifier: Apache-2.0
"""cluster_config against a real API server: a set of files as one unit."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer
from lab.errors import LabError

from .conftest import RunModule
from .test_workload_entry import allow, warned

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NETWORKING = "networking.istio.io/v1"


def thing(kind: str, name: str, namespace: str, version: str = NETWORKING, **rest: Any) -> Any:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def service(namespace: str, port: int = 8080) -> Any:
    ports = [{"name": "http", "port": 80, "targetPort": port}]
    return thing("Service", "api", namespace, "v1", spec={"selector": {"app": "a"}, "ports": ports})


def route(namespace: str, timeout: str = "3s") -> Any:
    to = {"destination": {"host": "api"}}
    return thing(
        "VirtualService",
        "api",
        namespace,
        spec={"hosts": ["api"], "http": [{"route": [to], "timeout": timeout}]},
    )


def text(*bodies: Any) -> str:
    return yaml.safe_dump_all(bodies)


@pytest.fixture(scope="module", autouse=True)
def record_namespace(api_server: ApiServer) -> None:
    api_server.namespace("cc-records")


def options(name: str, **objects: Any) -> dict[str, Any]:
    files = {f"{key}.yaml": content for key, content in objects.items()}
    return {"set": name, "record_namespace": "cc-records", "objects": files}


def exists(api: ApiServer, what: str, namespace: str) -> bool:
    try:
        api.kubectl("get", what, "-n", namespace)
    except LabError:
        return False
    return True


def test_a_set_is_made_kept_changed_and_removed(
    api_server: ApiServer, run_module: RunModule, capsys: pytest.CaptureFixture[str]
) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cc-life"}}
    given = options("life", app=text(route("cc-life"), service("cc-life")), space=[namespace])
    titles = ["Namespace cc-life", "Service cc-life/api", "VirtualService cc-life/api"]

    foreseen = run_module("cluster_config", given, check=True)
    assert sorted(foreseen["created"]) == titles
    assert not exists(api_server, "namespace/cc-life", "default")
    made = run_module("cluster_config", given)
    assert made["created"][0] == titles[0]
    assert sorted(made["created"]) == titles

    again = run_module("cluster_config", given)
    assert not again["changed"]
    assert again["unchanged"] == 3
    assert not run_module("cluster_config", given, check=True)["changed"]

    # Without its record, nothing could be pruned: that it is written again is a change.
    api_server.kubectl("delete", "configmap/hybrid-mesh-set-life", "-n", "cc-records")
    assert run_module("cluster_config", given, check=True)["changed"]
    assert not exists(api_server, "configmap/hybrid-mesh-set-life", "cc-records")
    assert run_module("cluster_config", given)["changed"]
    assert not run_module("cluster_config", given)["changed"]

    less = options("life", app=text(service("cc-life", 9090)), space=[namespace])
    foreseen = run_module("cluster_config", less, check=True)
    assert exists(api_server, "virtualservice/api", "cc-life")
    done = run_module("cluster_config", less)
    for result in (foreseen, done):
        assert result["updated"] == ["Service cc-life/api"]
        assert result["deleted"] == ["VirtualService cc-life/api"]
    assert not exists(api_server, "virtualservice/api", "cc-life")
    assert not run_module("cluster_config", less)["changed"]

    gone = run_module("cluster_config", {**less, "state": "absent", "wait": True})
    assert gone["deleted"] == ["Service cc-life/api"]
    assert "Namespace cc-life stays" in warned(gone, capsys)
    assert not exists(api_server, "configmap/hybrid-mesh-set-life", "cc-records")


def test_a_refused_object_keeps_all_of_the_set_back(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("cc-bad")
    wrong = route("cc-bad", timeout="soon")
    result = run_module(
        "cluster_config", options("bad", good=text(service("cc-bad")), routes=text(wrong))
    )
    assert result["failed"]
    assert not result["changed"]
    assert result["failures"][0]["file"] == "routes.yaml"
    assert "VirtualService cc-bad/api: routes.yaml: spec.http" in result["msg"]
    assert "timeout" in result["msg"]
    assert not exists(api_server, "service/api", "cc-bad")

    repaired = options("bad", good=text(service("cc-bad")), routes=text(route("cc-bad")))
    assert len(run_module("cluster_config", repaired)["created"]) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "bad.yaml: expected YAML"),
        ("- 1", "bad.yaml: document 1: expected an object"),
        ("kind: Service", "bad.yaml: document 1: apiVersion: expected a value"),
        (
            text(service("cc-files"), service("cc-files")),
            "bad.yaml: Service cc-files/api: expected each object once",
        ),
    ],
)
def test_a_wrong_file_is_named(run_module: RunModule, content: str, said: str) -> None:
    result = run_module("cluster_config", options("files", bad=content))
    assert result["failed"]
    assert said in result["msg"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (thing("Servise", "a", "default", "v1"), "x.yaml: the cluster has no kind Servise in v1"),
        (thing("A", "a", "default", "no.such/v1"), "the cluster does not serve no.such/v1"),
        ({**service("x"), "metadata": {"name": "api"}}, "metadata.namespace: expected a namespace"),
        (thing("Sidecar", "a", "cc-nowhere", spec={}), 'namespaces "cc-nowhere" not found'),
    ],
)
def test_what_the_cluster_does_not_have_is_named(
    run_module: RunModule, body: Any, said: str
) -> None:
    result = run_module("cluster_config", options("kinds", x=[body]))
    assert result["failed"]
    assert said in result["msg"]


def test_an_object_that_somebody_took_over_is_not_pruned(
    api_server: ApiServer, run_module: RunModule
) -> None:
    api_server.namespace("cc-taken")
    run_module("cluster_config", options("taken", app=[service("cc-taken")]))
    api_server.kubectl("label", "service/api", "hybrid.mesh/set-", "-n", "cc-taken")
    result = run_module("cluster_config", options("taken"))
    assert result["deleted"] == []
    assert exists(api_server, "service/api", "cc-taken")


def test_kinds_that_are_released_stay(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("cc-free")
    run_module("cluster_config", options("free", app=[service("cc-free")]))
    released = {**options("free"), "release": ["Service"]}
    assert run_module("cluster_config", released)["deleted"] == []
    assert run_module("cluster_config", options("free"))["deleted"] == []
    assert exists(api_server, "service/api", "cc-free")


def test_a_forbidden_verb_is_named(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("cc-rbac")
    reader = {"apiGroups": [""], "resources": ["services"], "verbs": ["get"]}
    keeper = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "patch"]}
    allow(api_server, "cc-rbac", "cc-reader", reader)
    allow(api_server, "cc-records", "cc-reader", keeper)
    access = {"kubeconfig": str(api_server.kubeconfig_for("cc-reader"))}
    result = run_module("cluster_config", {**options("rbac", app=[service("cc-rbac")]), **access})
    assert result["failed"]
    assert "user 'cc-reader' may not patch services in the namespace cc-rbac" in result["msg"]


def test_a_secret_is_not_shown(api_server: ApiServer, run_module: RunModule) -> None:
    api_server.namespace("cc-secret")
    secret = thing("Secret", "s", "cc-secret", "v1", stringData={"key": "not-for-eyes"})
    result = run_module("cluster_config", options("secret", app=[secret]))
    assert result["created"] == ["Secret cc-secret/s"]
    assert "not-for-eyes" not in str(result["diff"])
    assert "bm90LWZvci1leWVz" not in str(result["diff"])
