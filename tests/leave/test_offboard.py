"""All hosts leave the mesh of a cluster: nothing of it stays, on none of them and not there."""

from __future__ import annotations

import json
import subprocess

import pytest

from lab.tools import tool
from tests.real.conftest import KUBECONFIG, Lab

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_podman, pytest.mark.timeout(600)]

KINDS = (
    "workloadentries,workloadgroups,services,serviceaccounts,"
    "gateways.networking.istio.io,virtualservices,destinationrules,"
    "peerauthentications,authorizationpolicies"
)


def ours() -> set[str]:
    """What this collection's label is on in the cluster, and every WorkloadEntry."""
    kubeconfig = KUBECONFIG.with_name("admin.kubeconfig")
    command = [tool("kubectl"), "--kubeconfig", kubeconfig, "get", "--all-namespaces", "-o", "json"]
    done = subprocess.run([*command, KINDS], capture_output=True, text=True, check=True, timeout=60)
    return {
        f"{found['kind']} {found['metadata'].get('namespace')}/{found['metadata']['name']}"
        for found in json.loads(done.stdout)["items"]
        if found["kind"] == "WorkloadEntry"
        or found["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "hybrid.mesh"
    }


def test_all_hosts_leave(lab: Lab) -> None:
    if not lab.istiod:
        pytest.skip("the hosts are in no cluster's mesh (make istiod)")
    before = ours()
    assert {kind.split()[0] for kind in before} >= {"WorkloadEntry", "WorkloadGroup", "Service"}
    lab.play("offboard", "--extra-vars", "mesh_offboard_hosts=mesh")
    assert ours() == set()
    left = (
        "ls -d /etc/mesh-agent /var/lib/mesh-agent /opt/hybrid-mesh /run/mesh-agent; "
        "nft list table inet hybrid_mesh; getent passwd mesh-agent mesh-proxy; "
        "systemctl list-unit-files --no-legend 'mesh-*'"
    )
    for host in ("web", "api-1", "api-2", "gateway", "db"):
        assert lab.run(host, f"({left}) 2>/dev/null", check=False).stdout == "", host
