# SPDX-License-Identifier: Apache-2.0
"""What a cluster says about its mesh, to those who may see all of it and to others."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule
from .test_bootstrap import allow, config_map

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "mesh-info"
_NETWORKING = "networking.istio.io/v1"


def entry(name: str, health: str | None = None, **metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "apiVersion": _NETWORKING,
        "kind": "WorkloadEntry",
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": {"address": "192.0.2.1", "labels": {"app": "api"}},
    }
    if health:
        found["status"] = {"conditions": [{"type": "Healthy", "status": health}]}
    return found


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, istiod: Istiod) -> Iterator[ApiServer]:
    """A namespace with a group and four entries, and what a chart adds to the control plane."""
    api_server.namespace(NAMESPACE, "api")
    probed = {"proxy.istio.io/health-checks-enabled": "true"}
    auto = {"annotations": {"istio.io/autoRegistrationGroup": "api", **probed}}
    entries = [entry("a", "True", **auto), entry("b", "False", **auto), entry("c", **auto)]
    group = {
        "apiVersion": _NETWORKING,
        "kind": "WorkloadGroup",
        "metadata": {"name": "api", "namespace": NAMESPACE},
        "spec": {
            "metadata": {"labels": {"app": "api"}},
            "template": {"serviceAccount": "api", "network": "net-1", "ports": {"http": 8080}},
            "probe": {"tcpSocket": {"port": 8080}},
        },
    }
    values = json.dumps({"global": {"multiCluster": {"clusterName": "cluster1"}}})
    api_server.apply(
        [
            group,
            *entries,
            entry("by-hand"),
            config_map("istio-sidecar-injector-info", {"values": values}),
            config_map(
                "istio-info",
                {
                    "mesh": "trustDomain: example.org\ndefaultConfig: {meshId: m1}",
                    "meshNetworks": "networks: {far: {gateways: [{address: 192.0.2.9}]}}",
                },
            ),
            deployment(),
            service(),
        ]
    )
    for one in (*entries, entry("by-hand")):
        if "status" in one:
            name = one["metadata"]["name"]
            patch = json.dumps({"status": one["status"]})
            api_server.kubectl(
                *("patch", "workloadentry", name, f"--namespace={NAMESPACE}", "--type=merge"),
                *("--subresource=status", f"--patch={patch}"),
            )
    root = "configmap/istio-ca-root-cert"
    api_server.kubectl("wait", root, "--for=create", f"--namespace={NAMESPACE}", "--timeout=30s")
    yield api_server
    api_server.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    for kind, name in (
        ("configmap", "istio-info"),
        ("configmap", "istio-sidecar-injector-info"),
        ("deployment", "istiod-info"),
        ("service", "istiod-info"),
    ):
        api_server.kubectl("delete", kind, name, "--namespace=istio-system")


def deployment() -> dict[str, Any]:
    container = {
        "name": "discovery",
        "image": "docker.io/istio/pilot:1.28.0",
        "env": [{"name": "TOKEN_AUDIENCES", "value": "istio-ca,vault"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "istiod-info",
            "namespace": "istio-system",
            "labels": {"app": "istiod", "istio.io/rev": "info"},
        },
        "spec": {
            "selector": {"matchLabels": {"app": "istiod"}},
            "template": {
                "metadata": {"labels": {"app": "istiod"}},
                "spec": {"containers": [container]},
            },
        },
    }


def service() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "istiod-info",
            "namespace": "istio-system",
            "labels": {
                "app": "istiod",
                "istio.io/rev": "info",
                "topology.istio.io/network": "near",
            },
        },
        "spec": {
            "ports": [{"name": "tls", "port": 15443}, {"name": "xds", "port": 15012}],
            "externalIPs": ["192.0.2.8"],
        },
    }


def test_it_says_what_there_is(cluster: ApiServer, istiod: Istiod, run_module: RunModule) -> None:
    found = run_module("mesh_info", {"namespaces": [NAMESPACE], "revision": "info"})
    assert found["unread"] == []
    assert found["changed"] is False
    (plane,) = (one for one in found["control_planes"] if one["revision"] == "info")
    assert plane == {
        "revision": "info",
        "version": "1.28.0",
        "service": "istiod-info",
        "addresses": ["192.0.2.8:15012"],
        "replicas": 0,
        "audiences": ["istio-ca", "vault"],
    }
    mesh = found["mesh"]
    assert (mesh["trust_domain"], mesh["mesh_id"]) == ("example.org", "m1")
    assert (mesh["cluster_id"], mesh["server_name"]) == ("cluster1", "istiod-info.istio-system.svc")
    assert found["networks"] == [
        {"name": "far", "gateways": [{"address": "192.0.2.9:15443", "source": "meshNetworks"}]},
        {
            "name": "near",
            "gateways": [
                {"address": "192.0.2.8:15443", "source": "Service istio-system/istiod-info"}
            ],
        },
    ]
    (namespace,) = found["namespaces"]
    root = istiod.root_certificate.read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(root)).hexdigest()
    assert namespace["root_certificate"]["pem"] == root
    assert [one["sha256"] for one in namespace["root_certificate"]["certificates"]] == [digest]
    assert namespace["workload_entries"] == {
        "total": 4,
        "healthy": 1,
        "unhealthy": 1,
        "unknown": 1,
        "unchecked": 1,
    }
    assert namespace["workload_groups"] == [
        {
            "name": "api",
            "service_account": "api",
            "network": "net-1",
            "labels": {"app": "api"},
            "ports": {"http": 8080},
            "probe": True,
            "entries": {
                "total": 3,
                "healthy": 1,
                "unhealthy": 1,
                "unknown": 1,
                "unchecked": 0,
            },
        }
    ]


def test_without_namespaces_it_finds_those_with_workloads(
    cluster: ApiServer, run_module: RunModule
) -> None:
    found = run_module("mesh_info", {})
    assert NAMESPACE in [one["name"] for one in found["namespaces"]]
    assert "default" not in [one["name"] for one in found["namespaces"]]


def test_it_tries_service_accounts_as_istiod_will(
    cluster: ApiServer, run_module: RunModule
) -> None:
    wanted = [
        {"namespace": NAMESPACE, "service_account": "api"},
        {"namespace": NAMESPACE, "service_account": "nobody"},
    ]
    found = run_module("mesh_info", {"identities": wanted, "namespaces": [NAMESPACE]})
    assert [one["accepted"] for one in found["identities"]] == [True, False]
    assert found["identities"][0]["problem"] == ""
    assert "ServiceAccount mesh-info/nobody does not exist" in found["identities"][1]["problem"]
    refused = run_module("mesh_info", {"identities": wanted[:1], "audience": "elsewhere"})
    assert refused["identities"][0]["accepted"] is False
    assert "expected the audience istio-ca" in refused["identities"][0]["problem"]
    both = run_module(
        "mesh_info", {"identities": wanted[:1], "audience": "vault", "revision": "info"}
    )
    assert both["identities"][0]["accepted"] is True


def test_it_sees_what_istiod_presents(
    cluster: ApiServer, istiod: Istiod, run_module: RunModule
) -> None:
    address = istiod.addresses[0]
    options = {"namespaces": [NAMESPACE], "connect": [address, "127.0.0.1:1", "nonsense"]}
    good, refused, nonsense = run_module("mesh_info", options)["connections"]
    assert (good["trusted"], good["problem"]) == (True, "")
    assert "istiod.istio-system.svc" in good["server_names"]
    assert refused["trusted"] is None
    assert "Connection refused" in refused["problem"]
    assert nonsense["problem"] == "nonsense: expected HOST:PORT"
    (other,) = run_module("mesh_info", {**options, "connect": [address], "revision": "info"})[
        "connections"
    ]
    assert "expected istiod-info.istio-system.svc among its names, found" in other["problem"]


def test_a_root_that_did_not_sign_istiods_certificate_is_noticed(
    cluster: ApiServer, istiod: Istiod, run_module: RunModule
) -> None:
    stranger = cluster.certificate_authority.read_text()
    root = config_map("other-root", {"root-cert.pem": stranger})
    root["metadata"]["namespace"] = NAMESPACE
    cluster.apply([root])
    found = run_module(
        "mesh_info",
        {
            "namespaces": [NAMESPACE],
            "root_config_map": "other-root",
            "connect": [istiod.addresses[0]],
        },
    )
    (seen,) = found["connections"]
    assert seen["trusted"] is False
    assert "does not chain to the given root" in seen["problem"]
    assert "istiod.istio-system.svc" in seen["server_names"]


def test_a_user_who_may_see_little_gets_that_and_is_told_the_rest(
    cluster: ApiServer, run_module: RunModule
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    cluster.apply(allow("looker", "mesh-info-looker", rules))
    options = {
        "kubeconfig": str(cluster.kubeconfig_for("looker")),
        "namespaces": [NAMESPACE],
        "permissions": True,
    }
    found = run_module("mesh_info", options)
    assert found["mesh"]["trust_domain"] == "cluster.local"
    assert "BEGIN CERTIFICATE" in found["namespaces"][0]["root_certificate"]["pem"]
    assert found["control_planes"] == []
    said = "\n".join(found["unread"])
    assert "user 'looker' may not list workloadentries of networking.istio.io" in said
    assert "user 'looker' may not list deployments of apps" in said
    missing = {one["text"]: one["purpose"] for one in found["missing_permissions"]}
    assert (
        missing["patch workloadentries.networking.istio.io in namespace mesh-info"]
        == "register hosts and take them away"
    )
    assert missing["create serviceaccounts/token in namespace mesh-info"] == "issue tokens"
    assert "get configmaps istio-ca-root-cert in namespace mesh-info" not in missing
    admin = run_module("mesh_info", {"namespaces": [NAMESPACE], "permissions": True})
    assert admin["missing_permissions"] == []


def test_a_revision_that_is_not_there_is_not_taken_for_defaults(
    cluster: ApiServer, run_module: RunModule
) -> None:
    found = run_module("mesh_info", {"namespaces": [NAMESPACE], "revision": "canray"})
    assert found["mesh"]["config"] is None
    assert found["unread"][0] == "ConfigMap istio-system/istio-canray does not exist"


def test_an_api_server_that_is_away_is_a_failure(
    cluster: ApiServer, run_module: RunModule, tmp_path: Any
) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    found = run_module("mesh_info", {"kubeconfig": str(path)})
    assert found["failed"] is True
    assert "https://127.0.0.1:1: the API server does not answer" in found["msg"]
    assert str(path) in found["msg"]
