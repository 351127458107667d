# SPDX-License-Identifier: Apache-2.0
"""The inventory plugin, run by ansible-inventory, on a real API server and on a status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

STATUS = {
    "workloads": [
        {
            "name": "db-1",
            "namespace": "branch",
            "service_account": "db",
            "address": "10.242.5.9",
            "network": "net-2",
            "group": "db",
            "labels": {"app": "db"},
            "healthy": True,
        }
    ]
}


def entry(name: str, namespace: str, address: str, checked: bool = False) -> dict[str, Any]:
    annotations = {"proxy.istio.io/health-checks-enabled": "true"} if checked else {}
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {
            "address": address,
            "network": "net-1",
            "serviceAccount": "app",
            "locality": "eu/a",
            "labels": {"app": "app", "version": "v1"},
            "ports": {"http": 8080},
        },
    }


def report(api: ApiServer, name: str, namespace: str, healthy: str) -> None:
    """Write the health of an entry, as istiod does."""
    status = {"status": {"conditions": [{"type": "Healthy", "status": healthy}]}}
    patch = ["--subresource=status", "--type=merge", "-p", json.dumps(status)]
    api.kubectl("patch", "workloadentry", name, "-n", namespace, *patch)


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer) -> ApiServer:
    for namespace in ("inv-a", "inv-b"):
        api_server.namespace(namespace)
    api_server.apply(
        [
            entry("app-1", "inv-a", "10.242.5.1", True),
            entry("app-2", "inv-a", "10.242.5.2", True),
            entry("app-1", "inv-b", "10.242.5.3"),
        ]
    )
    report(api_server, "app-1", "inv-a", "True")
    report(api_server, "app-2", "inv-a", "False")
    return api_server


def inventory(
    directory: Path, checkout: Path, config: dict[str, Any]
) -> subprocess.CompletedProcess[str]:
    home = directory / "ansible_collections" / "hybrid"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "mesh").exists():
        (home / "mesh").symlink_to(checkout)
    file = directory / "my.mesh.yml"
    file.write_text(yaml.safe_dump({"plugin": "hybrid.mesh.mesh", **config}))
    settings = directory / "ansible.cfg"
    settings.touch()
    program = Path(sys.executable).with_name("ansible-inventory")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(settings),
        "ANSIBLE_COLLECTIONS_PATH": str(directory),
        "ANSIBLE_INVENTORY_ENABLED": "hybrid.mesh.mesh",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    }
    return subprocess.run(
        [program, "-i", file, "--list"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(text: str) -> dict[str, Any]:
    """The inventory without the marks on what came from elsewhere: it is never a template."""

    def unmarked(value: dict[str, Any]) -> Any:
        return value.get("__ansible_unsafe", value)

    found: dict[str, Any] = json.loads(text, object_hook=unmarked)
    return found


def hosts_of(found: dict[str, Any], group: str) -> list[str]:
    return sorted(found.get(group, {}).get("hosts", []))


def test_hosts_and_groups_of_a_cluster_and_of_a_control_plane(
    cluster: ApiServer, checkout: Path, tmp_path: Path
) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps(STATUS))
    one = {
        "name": "main",
        "kubeconfig": str(cluster.kubeconfig),
        "namespaces": ["inv-a", "inv-b"],
    }
    done = inventory(
        tmp_path,
        checkout,
        {
            "clusters": [one],
            "control_planes": [
                {"name": "branch", "file": str(status)},
                # The same workload, by the other way: it is one host.
                {"name": "again", "command": ["cat", str(status)]},
            ],
            "hostname": "name ~ '.' ~ namespace",
            "keyed_groups": [{"key": "mesh_labels.version", "prefix": "version"}],
            "groups": {"broken": "mesh_registered.health == 'unhealthy'"},
            "compose": {"where": "mesh_registered.source"},
        },
    )
    assert done.returncode == 0, done.stderr
    found = read(done.stdout)
    variables = found["_meta"]["hostvars"]
    assert sorted(variables) == ["app-1.inv-a", "app-1.inv-b", "app-2.inv-a", "db-1.branch"]
    first = variables["app-1.inv-a"]
    assert first["ansible_host"] == first["mesh_address"] == "10.242.5.1"
    assert first["mesh_network"] == "net-1"
    assert first["mesh_ports"] == [{"name": "http", "port": 8080}]
    assert first["mesh_registered"]["health"] == "healthy"
    assert first["where"] == "main"
    assert variables["db-1.branch"]["mesh_workload_group"] == "db"
    assert hosts_of(found, "mesh_network_net_1") == ["app-1.inv-a", "app-1.inv-b", "app-2.inv-a"]
    assert hosts_of(found, "mesh_health_unhealthy") == hosts_of(found, "broken") == ["app-2.inv-a"]
    assert hosts_of(found, "mesh_health_healthy") == ["app-1.inv-a", "db-1.branch"]
    assert hosts_of(found, "mesh_service_account_branch_db") == ["db-1.branch"]
    assert hosts_of(found, "mesh_region_eu") == hosts_of(found, "version_v1")
    assert hosts_of(found, "mesh_source_branch") == ["db-1.branch"]
    assert hosts_of(found, "mesh_source_again") == []


def test_two_workloads_of_one_name_are_an_error_that_says_what_to_do(
    cluster: ApiServer, checkout: Path, tmp_path: Path
) -> None:
    one = {"kubeconfig": str(cluster.kubeconfig), "namespaces": ["inv-a", "inv-b"]}
    done = inventory(tmp_path, checkout, {"clusters": [one]})
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "two workloads would be the host app-1" in said
    assert "set hostname" in said


def test_the_cache_answers_for_a_cluster_that_is_away(
    cluster: ApiServer, checkout: Path, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(cluster.kubeconfig.read_bytes())
    config = {
        "clusters": [{"kubeconfig": str(kubeconfig), "namespaces": ["inv-a"]}],
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    first = inventory(tmp_path, checkout, config)
    kubeconfig.unlink()
    second = inventory(tmp_path, checkout, config)
    assert first.returncode == second.returncode == 0, second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert sorted(read(second.stdout)["_meta"]["hostvars"]) == ["app-1", "app-2"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"clusters": [{"kubeconfig": "/nowhere"}]}, "clusters[0]: kubeconfig /nowhere: cannot be"),
        ({"clusters": [{"contxt": "a"}]}, "clusters[0]: unknown key 'contxt': expected one of"),
        ({"control_planes": [{}]}, "control_planes[0]: expected one of file, command, url"),
        ({"control_planes": [{"file": "/nowhere"}]}, "control_planes[0].file: /nowhere"),
        ({"control_planes": [{"command": ["echo", "{}"]}]}, "expected the status of mesh-control"),
        ({"control_planes": [{"url": "http://127.0.0.1:1/status"}]}, "control_planes[0].url"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(
    checkout: Path, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    done = inventory(tmp_path, checkout, config)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
