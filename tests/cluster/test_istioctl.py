# SPDX-License-Identifier: Apache-2.0
"""Istio's own tool as the judge of what we create, run and dump."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod
from lab.tools import tool

from .conftest import RunModule
from .joining import ADDRESS, command, joined, settings

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "judged"
API = "api.judged.svc.cluster.local"


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, istiod: Istiod) -> Iterator[ApiServer]:
    """A namespace with a group, and a Service that selects its hosts."""
    api_server.namespace(NAMESPACE, "api")
    # istioctl asks istiod with a token of it.
    api_server.namespace("istio-system", "default")
    api_server.apply(
        [
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "WorkloadGroup",
                "metadata": {"name": "api", "namespace": NAMESPACE},
                "spec": {
                    "metadata": {"labels": {"app": "api"}},
                    "template": {"serviceAccount": "api", "ports": {"http": 8080}},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "api", "namespace": NAMESPACE},
                "spec": {
                    "selector": {"app": "api"},
                    "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
                },
            },
        ]
    )
    yield api_server
    api_server.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def bundle(cluster: ApiServer, istiod: Istiod, run_module: RunModule) -> dict[str, Any]:
    """What the host gets to join."""
    found = run_module(
        "workload_bootstrap",
        {
            "hosts": [{"name": "api-1", "namespace": NAMESPACE, "group": "api"}],
            "cluster_id": istiod.cluster_id,
            "control_plane_addresses": istiod.addresses,
        },
    )
    assert "failed" not in found, found
    return found


@pytest.mark.needs_envoy
async def test_istioctl_knows_our_host_and_reads_our_dump(
    bundle: dict[str, Any],
    cluster: ApiServer,
    istiod: Istiod,
    run_module: RunModule,
    tmp_path: Path,
    envoy_binary: Path,
) -> None:
    host_settings = settings(bundle["hosts"][0], bundle["mesh"], tmp_path)
    async with joined(host_settings, tmp_path, envoy_binary) as host:
        found = run_module(
            "proxy_info",
            {
                "config_dump": True,
                "admin_socket": str(host.paths.admin_socket),
                "program": str(tmp_path / "no-agent"),
            },
            host=True,
        )
        istioctl = (tool("istioctl"), "--kubeconfig", cluster.kubeconfig)
        server = ("--xds-address", f"localhost:{istiod.addresses[0].rpartition(':')[2]}")
        listed = await command(*istioctl, "proxy-status", *server, "--insecure")
        row = next(line for line in listed.splitlines() if line.startswith("api-1.judged"))
        assert istiod.cluster_id in row.split(), listed
        assert host.host.relay.record.refusals == ()

    proxy = found["proxy"]
    assert (proxy["state"], proxy["ready"]) == ("running", True)
    assert proxy["node"].startswith(f"sidecar~{ADDRESS}~api-1.judged~")
    assert "virtualInbound" in [one["name"] for one in proxy["listeners"]]
    names = {one["name"]: one["endpoints"] for one in proxy["clusters"]}
    assert [one["address"] for one in names[f"outbound|80||{API}"]] == [f"{ADDRESS}:8080"]
    own = [one for one in proxy["certificates"] if one["kind"] == "cert_chain"]
    assert own[0]["names"] == ["spiffe://cluster.local/ns/judged/sa/api"]
    assert found["agent"]["state"] == "absent"

    # The key is nowhere in what left the host.
    assert "PRIVATE KEY" not in json.dumps(found)
    secrets = [
        one for one in found["config_dump"]["configs"] if "SecretsConfigDump" in one["@type"]
    ]
    assert "redacted" in json.dumps(secrets).lower() or "W3JlZGFjdGVkXQ==" in json.dumps(secrets)

    dump, clusters = tmp_path / "dump.json", tmp_path / "clusters.json"
    dump.write_text(json.dumps(found["config_dump"]))
    clusters.write_text(json.dumps(found["clusters_dump"]))

    async def reads(kind: str, path: Path = dump) -> str:
        return await command(tool("istioctl"), "proxy-config", kind, "--file", path)

    assert API in await reads("clusters")
    assert "15006" in await reads("listeners")
    assert API in await reads("routes")
    assert f"{ADDRESS}:8080" in await reads("endpoints", clusters)
    assert f"{ADDRESS}:8080" in await reads("eds")
    assert "default" in await reads("secret")
    assert "api-1.judged" in await reads("bootstrap")


GROUPS = "{{ groups['mesh_workloads'] | map('extract', hostvars) | hybrid.mesh.workload_groups }}"
EMBEDDED = (
    "{{ groups['mesh_gateways'] | map('extract', hostvars) | hybrid.mesh.gateway_objects("
    "groups['mesh_control_plane'] | map('extract', hostvars)) }}"
)
ISTIOD = (
    "{{ groups['mesh_gateways'] | map('extract', hostvars) | hybrid.mesh.istiod_gateway_objects("
    "groups['mesh'] | map('extract', hostvars)) }}"
)


async def made_of(inventory: Path, expression: str, directory: Path) -> list[dict[str, Any]]:
    """What an expression in a playbook makes of an inventory."""
    target = directory / "made.json"
    task = {"content": expression, "dest": str(target), "mode": "0600"}
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    await command(
        *("ansible", "-i", inventory, "mesh_gateways[0]", "-e", json.dumps(here)),
        *("-m", "ansible.builtin.copy", "-a", json.dumps(task)),
    )
    found: list[dict[str, Any]] = json.loads(target.read_text())
    return found


async def judge(objects: dict[str, dict[str, Any]], directory: Path) -> None:
    """Have istioctl validate each object, and analyze them together."""
    folder = directory / "objects"
    folder.mkdir()
    for name, one in objects.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(one))
    files = [part for path in sorted(folder.iterdir()) for part in ("-f", str(path))]
    said = await command(tool("istioctl"), "validate", *files)
    assert "Warning" not in said, said
    assert said.count(" is valid") == len(objects), said
    said = await command(
        *(tool("istioctl"), "analyze", "--use-kube=false", "--failure-threshold", "Info"),
        *(path for path in files if path != "-f"),
    )
    assert "No validation issues found" in said, said


@pytest.mark.parametrize(("inventory", "gateways"), [("lab", EMBEDDED), ("istiod", ISTIOD)])
async def test_istioctl_finds_no_fault_with_the_objects_of_the_examples(
    inventory: str, gateways: str, checkout: Path, tmp_path: Path
) -> None:
    examples = checkout / "inventories" / "examples"
    hosts = examples / inventory / "hosts.yml"
    objects = {
        path.stem: yaml.safe_load(path.read_text())
        for path in sorted((examples / "objects" / "shop").glob("*.yaml"))
    }
    for expression in (GROUPS, gateways):
        for one in await made_of(hosts, expression, tmp_path):
            objects[f"{one['kind']}-{one['metadata']['name']}"] = one
    kinds = {one["kind"] for one in objects.values()}
    assert {"WorkloadGroup", "Gateway", "VirtualService", "DestinationRule"} <= kinds
    await judge(objects, tmp_path)


async def test_istioctl_finds_no_fault_with_the_objects_of_the_other_example(
    checkout: Path, tmp_path: Path
) -> None:
    folder = checkout / "inventories" / "examples" / "objects" / "orders"
    objects = {path.stem: yaml.safe_load(path.read_text()) for path in folder.glob("*.yaml")}
    assert objects
    await judge(objects, tmp_path)


async def test_the_judge_finds_faults(tmp_path: Path) -> None:
    """What is asserted above could otherwise be said of anything."""
    bad = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "bad", "namespace": "shop"},
        "spec": {"hosts": ["api"], "gateways": ["nowhere"], "http": [{"route": []}]},
    }
    with pytest.raises(AssertionError, match="bad"):
        await judge({"bad": bad}, tmp_path)
