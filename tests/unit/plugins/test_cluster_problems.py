# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps hosts out of a cluster's mesh, found before anything is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.filter.cluster_problems import cluster_problems
from ansible_collections.hybrid.mesh.plugins.filter.identities import identities

ROOT = {"pem": "...", "certificates": [{"sha256": "aa"}]}
FOUND: dict[str, Any] = {
    "mesh": {
        "cluster_id": "cluster1",
        "trust_domain": "cluster.local",
        "mesh_id": "mesh1",
        "network": "one",
        "server_name": "istiod.istio-system.svc",
        "config": {},
    },
    "networks": [],
    "namespaces": [
        {
            "name": "shop",
            "root_certificate": ROOT,
            "workload_groups": [{"name": "api", "service_account": "api"}],
        }
    ],
    "identities": [
        {"namespace": "shop", "service_account": "api", "accepted": True, "problem": ""}
    ],
    "connections": [],
    "missing_permissions": [],
}


def host(name: str = "api-1", **variables: Any) -> dict[str, Any]:
    return {
        "inventory_hostname": name,
        "group_names": ["mesh_workloads"],
        "mesh_address": "10.0.0.21",
        "mesh_namespace": "shop",
        "mesh_workload_group": "api",
        "mesh_network": "one",
        **variables,
    }


def gateway(network: str) -> dict[str, Any]:
    return {
        "inventory_hostname": f"gw-{network}",
        "group_names": ["mesh_gateways"],
        "mesh_network": network,
        "mesh_namespace": "shop",
        "mesh_gateway_addresses": {"one": "10.0.0.2", "two": "10.1.0.2"},
    }


def test_nothing_is_wrong() -> None:
    assert cluster_problems(FOUND, [host()]) == []
    two = [host(), host("db", mesh_network="two"), gateway("one"), gateway("two")]
    assert cluster_problems(FOUND, two, manage_groups=False) == []


def changed(**parts: Any) -> dict[str, Any]:
    found = copy.deepcopy(FOUND)
    for key, value in parts.items():
        found[key] = {**found[key], **value} if isinstance(value, dict) else value
    return found


@pytest.mark.parametrize(
    ("parts", "hosts", "options", "said"),
    [
        (
            {
                "missing_permissions": [
                    {
                        "text": "patch workloadgroups.networking.istio.io in namespace shop",
                        "verb": "patch",
                        "resource": "workloadgroups",
                        "purpose": "define workload groups",
                        "optional": False,
                    }
                ]
            },
            [host()],
            {},
            "may not patch workloadgroups.networking.istio.io in namespace shop, needed to define",
        ),
        (
            {},
            [host()],
            {"said": {"mesh_cluster_id": "east"}},
            "mesh_cluster_id is east, and the cluster's cluster_id is cluster1",
        ),
        (
            {},
            [host()],
            {"said": {"mesh_trust_domain": "example.org"}},
            "mesh_trust_domain is example.org, and the cluster's trust_domain is cluster.local",
        ),
        ({"mesh": {"cluster_id": ""}}, [host()], {}, "the cluster does not say its ID"),
        (
            {"namespaces": [{"name": "shop", "root_certificate": None, "workload_groups": []}]},
            [host()],
            {},
            "the namespace shop has no ConfigMap istio-ca-root-cert (api-1 would be there)",
        ),
        (
            {
                "namespaces": [
                    *FOUND["namespaces"],
                    {
                        "name": "bank",
                        "root_certificate": {"certificates": [{"sha256": "bb"}]},
                        "workload_groups": [],
                    },
                ]
            },
            [host()],
            {},
            "the root certificates in the namespaces shop, bank differ",
        ),
        (
            {"mesh": {"network": ""}},
            [host(), host("db", mesh_network="two"), gateway("one"), gateway("two")],
            {},
            "the namespace istio-system has no label topology.istio.io/network, and the hosts are "
            "on one, two",
        ),
        (
            {"mesh": {"network": ""}},
            [host(), gateway("one")],
            {},
            "the namespace istio-system has no label topology.istio.io/network, and the hosts are "
            "on one",
        ),
        ({}, [host(mesh_network="two")], {}, "no gateway leads to the network two"),
        (
            {"unread": ["Services of gateways: user 'u' may not list services"]},
            [host(mesh_network="two")],
            {},
            "correct mesh_network of api-1; the cluster is on one. Of the cluster's own gateways, "
            "only those of istio-system may be seen",
        ),
        (
            {
                "namespaces": [{"name": "shop", "root_certificate": None, "workload_groups": []}],
                "unread": ["ConfigMap shop/istio-ca-root-cert: user 'u' may not get configmaps"],
            },
            [host()],
            {},
            "the mesh's root certificate was not read: ConfigMap shop/istio-ca-root-cert: user 'u'",
        ),
        (
            {},
            [host(mesh_control_plane_addresses=["10.0.0.1:1"], mesh_control_plane_network="two")],
            {},
            "mesh_control_plane_network is two, and the cluster says that it is on one",
        ),
        (
            {},
            [host(), host("db", mesh_network="two"), gateway("one")],
            {},
            "no gateway leads to the network two",
        ),
        (
            {
                "identities": [
                    {
                        "namespace": "shop",
                        "service_account": "api",
                        "accepted": False,
                        "problem": "audience refused",
                    }
                ]
            },
            [host()],
            {},
            "service account shop/api: audience refused",
        ),
        (
            {
                "identities": [
                    {
                        "namespace": "shop",
                        "service_account": "api",
                        "accepted": False,
                        "problem": "does not exist",
                    }
                ]
            },
            [host()],
            {"manage_groups": False},
            "service account shop/api: does not exist",
        ),
        (
            {},
            [host(mesh_workload_group="web")],
            {"manage_groups": False},
            "api-1: there is no WorkloadGroup shop/web",
        ),
        (
            {},
            [host(mesh_service_account="other")],
            {"manage_groups": False},
            "api-1: its service account is other, and that of the WorkloadGroup shop/api is api",
        ),
        (
            {
                "connections": [
                    {
                        "address": "192.0.2.1:15012",
                        "certificate": {"sha256": "cc"},
                        "problem": "192.0.2.1:15012: expected istiod among its names",
                    }
                ]
            },
            [host()],
            {},
            "istiod at 192.0.2.1:15012: expected istiod among its names",
        ),
    ],
)
def test_what_is_wrong_is_said(
    parts: dict[str, Any], hosts: list[dict[str, Any]], options: dict[str, Any], said: str
) -> None:
    (problem,) = cluster_problems(changed(**parts), hosts, **options)
    assert said in problem


def test_what_may_not_be_read_is_said_once() -> None:
    lacking = {
        "text": "get configmaps istio-ca-root-cert in namespace shop",
        "verb": "get",
        "resource": "configmaps",
        "namespace": "shop",
        "purpose": "read the mesh's root certificate",
        "optional": False,
    }
    found = changed(
        mesh={"network": None},
        namespaces=[{"name": "shop", "root_certificate": None, "workload_groups": []}],
        missing_permissions=[lacking],
    )
    found["unread"] = ["ConfigMap shop/istio-ca-root-cert: user 'u' may not get configmaps"]
    (problem,) = cluster_problems(found, [host(), gateway("one")])
    assert "may not get configmaps istio-ca-root-cert in namespace shop" in problem


def test_what_will_be_made_is_not_missed() -> None:
    lacking = {"namespace": "shop", "service_account": "api", "problem": "does not exist: create"}
    lacking["accepted"] = False
    assert cluster_problems(changed(identities=[lacking]), [host()]) == []


def test_what_hosts_join_without_is_no_problem() -> None:
    untried = {"namespace": "shop", "service_account": "api", "accepted": None, "problem": "403"}
    lacking = {"text": "create tokenreviews", "optional": True}
    found = changed(identities=[untried], missing_permissions=[lacking])
    assert cluster_problems(found, [host()]) == []


@pytest.mark.parametrize(
    ("verb", "resource", "subresource", "needed"),
    [
        ("create", "serviceaccounts", "", False),
        ("create", "serviceaccounts", "token", True),
        ("patch", "workloadgroups", "", False),
        ("list", "workloadgroups", "", True),
        ("delete", "workloadentries", "", True),
    ],
)
def test_who_makes_no_groups_needs_no_right_to_make_them(
    verb: str, resource: str, subresource: str, needed: bool
) -> None:
    lacking = {"text": f"{verb} {resource}", "purpose": "join", "optional": False}
    lacking |= {"verb": verb, "resource": resource, "subresource": subresource}
    found = changed(missing_permissions=[lacking])
    assert len(cluster_problems(found, [host()])) == 1
    assert len(cluster_problems(found, [host()], manage_groups=False)) == int(needed)


def test_a_mesh_that_was_not_read_is_not_taken_for_one_with_defaults() -> None:
    away = "ConfigMap istio-system/istio-canray does not exist"
    found = {**changed(mesh={"config": None, "cluster_id": ""}), "unread": [away]}
    (problem,) = cluster_problems(found, [host()], said={"mesh_trust_domain": "example.org"})
    assert away in problem
    assert "mesh_revision" in problem


def test_an_istiod_that_the_controller_does_not_reach_is_left_to_the_hosts() -> None:
    away = {"address": "192.0.2.1:15012", "certificate": {}, "problem": "timed out"}
    assert cluster_problems(changed(connections=[away]), [host()]) == []


def test_the_identities_of_hosts() -> None:
    hosts = [host(), host("api-2"), host("web", mesh_service_account="web")]
    assert identities(hosts) == [
        {"namespace": "shop", "service_account": "api"},
        {"namespace": "shop", "service_account": "web"},
    ]
    with pytest.raises(AnsibleFilterError, match="mesh_workload_group is not set"):
        identities([host(mesh_workload_group=None)])
