# SPDX-License-Identifier: Apache-2.0
"""The cluster of a lab: units, keys, and what is in it before a host joins."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path, PurePath
from typing import Any

import pytest
import yaml

from lab.cluster.pki import Authority
from lab.files import File
from lab.istio import manifest
from lab.istio.units import cluster_files, secret_files, volumes
from lab.spec import Cluster, Host, Interface

ADDRESSES = (ip_address("10.9.1.10"), ip_address("fd09:1::10"))
CLUSTER = Cluster("c1", "network-1", ("shop",), (("PILOT_X", "2s"),))
HOST = Host("control", (Interface("network-1", ADDRESSES),), "none", (), ADDRESSES[0], CLUSTER)
PLAIN = Host("web", (Interface("network-1", ADDRESSES),), "web", (), ADDRESSES[0])


def units(files: list[File]) -> dict[str, str]:
    return {Path(f.path).name: f.content for f in files if f.target is None}


def test_the_units_of_a_cluster_start_one_after_the_other() -> None:
    found = units(cluster_files(HOST))
    assert list(found) == ["etcd.service", "kube-apiserver.service", "istiod.service"]
    assert "After=etcd.service\n" in found["kube-apiserver.service"]
    assert "After=kube-apiserver.service\n" in found["istiod.service"]
    assert "Type=notify\n" in found["kube-apiserver.service"]
    assert 'Environment="PILOT_X=2s"\n' in found["istiod.service"]
    assert "--secureGRPCAddr=10.9.1.10:15012" in found["istiod.service"]
    links = [f.path for f in cluster_files(HOST) if f.target is not None]
    assert len(links) == 3


def test_other_hosts_have_nothing_of_it() -> None:
    assert cluster_files(PLAIN) == []
    assert volumes(PLAIN, Path("/tools")) == {}
    assert volumes(HOST, Path("/tools")) == {Path("/tools"): PurePath("/opt/lab-tools")}


def test_secrets_are_for_root_alone() -> None:
    files = secret_files(HOST, CLUSTER, Authority.create("test"))
    assert {f.mode for f in files} == {0o600}
    kubeconfig = next(f for f in files if f.path.endswith("/kubeconfig"))
    server = yaml.safe_load(kubeconfig.content)["clusters"][0]["cluster"]["server"]
    assert server == "https://127.0.0.1:6443"


def test_of_istios_installation_stays_what_works_without_nodes() -> None:
    service: dict[str, Any] = {"kind": "Service", "spec": {"selector": {"app": "istiod"}}}
    documents: list[dict[str, Any]] = [{"kind": "Deployment"}, {"kind": "ConfigMap"}, service]
    assert [d["kind"] for d in manifest.installed(documents)] == ["ConfigMap", "Service"]
    assert "selector" not in service["spec"]


def test_istiods_service_leads_to_the_host() -> None:
    service = {
        "metadata": {"name": "istiod"},
        "spec": {"ports": [{"name": "https-webhook", "port": 443, "targetPort": 15017}]},
    }
    found = manifest.istiod_slice(HOST, service)
    assert found["endpoints"][0]["addresses"] == ["10.9.1.10"]
    assert found["ports"] == [{"name": "https-webhook", "port": 15017, "protocol": "TCP"}]
    assert found["metadata"]["labels"] == {"kubernetes.io/service-name": "istiod"}


@pytest.mark.parametrize(("namespace", "role"), [("istio-system", "home"), ("shop", "work")])
def test_the_operator_is_bound_in_each_namespace(namespace: str, role: str) -> None:
    found = manifest.bindings(CLUSTER, "someone", "home", "work")
    here = [b for b in found if b["metadata"].get("namespace") == namespace]
    assert [b["roleRef"]["name"] for b in here] == [role]
    assert [b["kind"] for b in found if "namespace" not in b["metadata"]] == ["ClusterRoleBinding"]
