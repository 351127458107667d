# SPDX-License-Identifier: Apache-2.0
"""The roles of roles/cluster/files are enough for what the playbooks do, and for no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "minimal-rights"
USER = "joiner"
ACCOUNT = {"service_account": "api"}
_GROUP = "rbac.authorization.k8s.io"
_NETWORKING = "networking.istio.io/v1"


def bound(role: dict[str, Any], namespace: str) -> list[dict[str, Any]]:
    """The role, and its binding to the user: in a namespace, or cluster-wide without one."""
    name = role["metadata"]["name"]
    where = {"namespace": namespace} if namespace else {}
    binding = {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, **where},
        "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _GROUP, "kind": "User", "name": USER}],
    }
    return [role, binding]


@pytest.fixture(scope="module")
def access(api_server: ApiServer, istiod: Istiod, checkout_path: Path) -> Iterator[dict[str, Any]]:
    """Options of a user who has the roles, and nothing else."""
    assert istiod.cluster_id
    api_server.namespace(NAMESPACE)
    for file, namespace in (
        ("control-plane", "istio-system"),
        ("workloads", NAMESPACE),
        ("cluster", ""),
    ):
        path = checkout_path / "roles" / "cluster" / "files" / f"{file}.yaml"
        api_server.apply(bound(yaml.safe_load(path.read_text()), namespace))
    yield {"kubeconfig": str(api_server.kubeconfig_for(USER))}
    api_server.kubectl("delete", "clusterrolebinding", "hybrid-mesh-cluster")
    api_server.kubectl(
        "delete", "rolebinding", "hybrid-mesh-control-plane", "--namespace=istio-system"
    )


@pytest.fixture(scope="module")
def checkout_path() -> Path:
    return Path(__file__).resolve().parents[2]


def objects() -> list[dict[str, Any]]:
    """As site.yml applies them: identity and group of hosts, what a gateway takes, and a route."""

    def one(version: str, kind: str, name: str, spec: Any = None, home: str = NAMESPACE) -> Any:
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": home}}
        return {**body, "spec": spec} if spec else body

    ports = [{"name": "tls", "port": 15443}]
    server = {
        "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
        "tls": {"mode": "AUTO_PASSTHROUGH"},
        "hosts": ["*.local"],
    }
    gateway = {"selector": {"a": "b"}, "servers": [server]}
    return [
        one("v1", "ServiceAccount", "api"),
        one(_NETWORKING, "WorkloadGroup", "api", {"template": {"serviceAccount": "api"}}),
        one("v1", "ServiceAccount", "east-west", home="istio-system"),
        one("v1", "Service", "minimal-network", {"ports": ports}, "istio-system"),
        one(_NETWORKING, "Gateway", "minimal-gateway", gateway, "istio-system"),
        one("security.istio.io/v1", "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
    ]


def test_a_user_with_the_roles_does_all_that_the_playbooks_do(
    access: dict[str, Any], run_module: RunModule
) -> None:
    found = run_module(
        "mesh_info", {**access, "namespaces": [NAMESPACE, "istio-system"], "permissions": True}
    )
    assert found["missing_permissions"] == []
    sets = {**access, "set": "mesh", "objects": {"mesh": objects()}}
    for check in (True, False):
        made = run_module("cluster_config", sets, check=check)
        assert not made.get("failed"), made
    joined = run_module(
        "workload_bootstrap",
        {
            **access,
            "cluster_id": "cluster1",
            "control_plane_addresses": ["192.0.2.1:15012"],
            "hosts": [{"name": "api-1", "namespace": NAMESPACE, "group": "api"}],
        },
    )
    assert not joined.get("failed"), joined
    assert joined["hosts"][0]["token"]
    tried = {"namespaces": [NAMESPACE], "identities": [{"namespace": NAMESPACE, **ACCOUNT}]}
    (identity,) = run_module("mesh_info", {**access, **tried})["identities"]
    assert identity["accepted"] is True
    entry = {"namespace": NAMESPACE, "entries": [{"name": "api-192.0.2.9"}], "state": "absent"}
    assert not run_module("workload_entry", {**access, **entry, "wait": True}).get("failed")
    host = {"name": "api-1", "namespace": NAMESPACE, "group": "api", "address": "192.0.2.9"}
    compared = run_module("registry_reconcile", {**access, "hosts": [{**host, "network": "n"}]})
    assert [one["host"] for one in compared["unregistered"]] == ["api-1"]
    gone = run_module("cluster_config", {**sets, "objects": {}, "state": "absent"})
    assert len(gone["deleted"]) == len(objects())


def test_the_user_may_do_nothing_elsewhere(access: dict[str, Any], run_module: RunModule) -> None:
    elsewhere = [{**objects()[0], "metadata": {"name": "api", "namespace": "default"}}]
    refused = run_module("cluster_config", {**access, "set": "mesh", "objects": {"x": elsewhere}})
    assert refused["failed"]
    assert f"user '{USER}' may not get serviceaccounts in the namespace default" in refused["msg"]
