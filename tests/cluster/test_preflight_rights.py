# SPDX-License-Identifier: Apache-2.0
"""What preflight says to users who may do little: what is missing, and nothing that is not."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from ansible_collections.hybrid.mesh.plugins.filter.cluster_problems import cluster_problems

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule
from .rights import binding
from .test_preflight import CHECK, problems

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

Rules = list[dict[str, Any]]


def _minimal(
    api: ApiServer,
    checkout: Path,
    namespace: str,
    changes: Mapping[str, Callable[[Rules], Iterable[Any]]] = MappingProxyType({}),
    *,
    cluster: bool = False,
) -> str:
    """The kubeconfig of a user, named as the namespace, who has the roles that are shipped.

    Only with ``cluster`` also that one which may be left out. ``changes`` are of a role's rules.
    """
    api.namespace(namespace, "api", "web")
    api.kubectl(
        *("wait", "configmap/istio-ca-root-cert", "--for=create"),
        *(f"--namespace={namespace}", "--timeout=30s"),
    )
    homes = {"control-plane": "istio-system", "workloads": namespace}
    for file, home in {**homes, "cluster": ""}.items() if cluster else homes.items():
        role = yaml.safe_load((checkout / "roles/cluster/files" / f"{file}.yaml").read_text())
        role["metadata"]["name"] = f"{namespace}-{file}"
        role["rules"] = list(changes.get(file, list)(role["rules"]))
        api.apply([role, binding(role["metadata"]["name"], home, namespace)])
    return str(api.kubeconfig_for(namespace))


def _without(resource: str, verb: str, rules: Rules) -> Iterator[dict[str, Any]]:
    """Rules of RBAC, less one verb on one resource."""
    for rule in rules:
        others = [one for one in rule["resources"] if one != resource]
        if others:
            yield {**rule, "resources": others}
        if resource in rule["resources"]:
            verbs = [one for one in rule["verbs"] if one != verb]
            if verbs:
                yield {**rule, "resources": [resource], "verbs": verbs}


def test_preflight_names_the_one_verb_that_is_missing(
    api_server: ApiServer, istiod: Istiod, checkout: Path, played: Callable[..., str]
) -> None:
    without = functools.partial(_without, "workloadgroups", "patch")
    kubeconfig = _minimal(api_server, checkout, "bad-verb", {"workloads": without}, cluster=True)
    variables = {
        "mesh_kubeconfig": kubeconfig,
        "mesh_namespace": "bad-verb",
        "mesh_cluster_id": istiod.cluster_id,
        "mesh_network": "one",
    }
    output = played({"a": {}}, CHECK, variables)
    (problem,) = problems(output)
    assert "may not patch workloadgroups.networking.istio.io in namespace bad-verb" in problem
    assert "roles/cluster/files" in problem
    assert api_server.get("workloadgroups", "--namespace=bad-verb")["items"] == []


def _host(namespace: str, **variables: Any) -> dict[str, Any]:
    return {
        "inventory_hostname": "a",
        "group_names": ["mesh_workloads"],
        "mesh_address": "192.0.2.7",
        "mesh_namespace": namespace,
        "mesh_workload_group": "api",
        "mesh_network": "one",
        **variables,
    }


def test_the_right_to_try_tokens_may_be_left_out(
    api_server: ApiServer, istiod: Istiod, checkout: Path, run_module: RunModule
) -> None:
    kubeconfig = _minimal(api_server, checkout, "untried")
    identity = {"namespace": "untried", "service_account": "api"}
    look = {"namespaces": ["untried"], "permissions": True, "identities": [identity]}
    found = run_module("mesh_info", {"kubeconfig": kubeconfig, **look})
    assert found["identities"][0]["accepted"] is None
    said = {"mesh_cluster_id": istiod.cluster_id}
    assert cluster_problems(found, [_host("untried")], said=said) == []


def test_a_gateway_beside_istiod_is_seen_with_the_minimal_roles(
    api_server: ApiServer, istiod: Istiod, checkout: Path, run_module: RunModule
) -> None:
    assert istiod.cluster_id
    kubeconfig = _minimal(api_server, checkout, "unlisted")
    label = {"topology.istio.io/network": "one"}
    metadata = {"name": "east-west-unlisted", "namespace": "istio-system", "labels": label}
    spec = {"ports": [{"port": 15443}], "externalIPs": ["192.0.2.8"]}
    api_server.apply([{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}])
    try:
        found = run_module("mesh_info", {"kubeconfig": kubeconfig, "namespaces": ["unlisted"]})
    finally:
        api_server.kubectl("delete", "service", "east-west-unlisted", "--namespace=istio-system")
    assert found["networks"] == [
        {
            "name": "one",
            "gateways": [
                {
                    "address": "192.0.2.8:15443",
                    "source": "Service istio-system/east-west-unlisted",
                }
            ],
        }
    ]


def test_what_may_not_be_read_is_not_said_to_be_missing(
    api_server: ApiServer, istiod: Istiod, checkout: Path, run_module: RunModule
) -> None:
    assert istiod.cluster_id
    without = functools.partial(_without, "namespaces", "get")
    _minimal(api_server, checkout, "unread", {"control-plane": without})
    hosts = [_host("unread"), _host("unread", inventory_hostname="b", mesh_network="two")]
    look = {"namespaces": ["unread"], "permissions": True}
    stranger = str(api_server.kubeconfig_for("unread-stranger"))
    for user in (stranger, str(api_server.kubeconfig_for("unread"))):
        found = run_module("mesh_info", {"kubeconfig": user, **look})
        assert found["mesh"]["network"] is None
        said = cluster_problems(found, hosts)
        assert not [line for line in said if "has no ConfigMap" in line or "has no label" in line]
        assert [line for line in said if "may not get namespaces istio-system" in line]
