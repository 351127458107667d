# SPDX-License-Identifier: Apache-2.0
"""The agent on a Kubernetes node: its programs are in the mesh, and the cluster does not notice.

In this order: joined, looked at, rebooted, offboarded.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pytest

from .conftest import NODE_ADDRESS, VM_ADDRESS, Mesh, cluster_works, host_network, wait

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_podman,
    pytest.mark.needs_envoy,
    pytest.mark.needs_tools,
    pytest.mark.timeout(900),
]

WEB = "http://web.shop.svc.cluster.local/"
NODE = "http://node.shop.svc.cluster.local/"
CAPTURED = [ip_network("10.96.0.0/16"), ip_network("240.240.0.0/16")]


def test_the_cluster_did_not_notice_that_its_node_joined(joined: Mesh) -> None:
    assert joined.joining.failures == []
    assert joined.joining.rounds >= 5


def test_programs_of_the_node_call_services_by_name(joined: Mesh) -> None:
    found = joined.from_host("node1", WEB, 20)
    assert len(found) == 20
    assert {(a.server, a.caller) for a in found} == {("shop/web", "shop/node")}
    assert {a.version for a in found} == {"pods", "host"}


def test_pods_and_vms_call_what_runs_on_the_node(joined: Mesh) -> None:
    found = joined.from_pod("client", NODE, 5)
    assert [(a.host, a.server, a.caller) for a in found] == [
        ("node1", "shop/node", "shop/client")
    ] * 5
    found = joined.from_host("web-vm", NODE, 5)
    assert [(a.host, a.server, a.caller) for a in found] == [("node1", "shop/node", "shop/web")] * 5
    assert {a.peer for a in found} == {"127.0.0.6"}


def test_the_workloads_port_takes_no_plaintext_and_others_are_as_before(joined: Mesh) -> None:
    assert joined.refusal("outsider", f"http://{NODE_ADDRESS}:9100/") in (52, 56)
    assert joined.from_pod("plain", f"http://{NODE_ADDRESS}:9100/", namespace="plain") == []
    assert joined.host("outsider", "curl", "-s", f"http://{NODE_ADDRESS}:30080/")
    # Kubelet answers itself: it asks for a certificate of the cluster's, by its own.
    status = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}"]
    assert joined.host("outsider", *status, f"https://{NODE_ADDRESS}:10250/healthz") == "401"


def test_a_pod_of_the_nodes_network_is_the_node(joined: Mesh) -> None:
    joined.api.apply([host_network("agent", 9101)])
    try:
        joined.rolled_out("agent", "plain")
        found = joined.from_pod("agent", WEB, 5, namespace="plain")
        assert {(a.server, a.caller) for a in found} == {("shop/web", "shop/node")}
        assert joined.host("outsider", "curl", "-s", f"http://{NODE_ADDRESS}:9101/")
    finally:
        joined.api.kubectl("delete", "deploy/agent", "--namespace=plain")


def test_nothing_but_calls_to_mesh_addresses_is_captured(joined: Mesh) -> None:
    joined.from_host("node1", WEB)
    cluster_works(joined, "captured")
    listing = joined.host("node1", "conntrack", "-L", "-p", "tcp", "--reply-port-src", "15001")
    called = {
        ip_address(text) for text in re.findall(r"dst=(\S+) sport=\d+ dport=\d+ src=", listing)
    }
    assert called
    assert all(any(address in network for network in CAPTURED) for address in called), called
    assert ip_address("10.96.0.1") not in called


def test_ordinary_pods_start_and_work(joined: Mesh) -> None:
    cluster_works(joined, "after")


def test_another_site_changes_nothing_on_the_node(joined: Mesh) -> None:
    recap = joined.playbook("site").rpartition("PLAY RECAP")[2]
    assert re.findall(r"node1\s*: .*changed=(\d+)", recap) == ["0"], recap


def test_all_of_it_after_a_reboot_of_the_node(joined: Mesh) -> None:
    joined.reboot_node()
    cluster_works(joined, "rebooted")
    wait("the mesh answers the node", lambda: len(joined.from_host("node1", WEB, 5)) == 5)
    wait("the node answers the mesh", lambda: len(joined.from_pod("client", NODE, 5)) == 5)
    assert "table inet hybrid_mesh" in joined.host("node1", "nft", "list", "tables")


def test_offboarding_leaves_an_ordinary_node(joined: Mesh) -> None:
    with joined.watch() as watch:
        joined.playbook("offboard", "--limit", "node1")
    assert watch.failures == []
    assert watch.rounds >= 2
    assert "hybrid_mesh" not in joined.host("node1", "nft", "list", "tables")
    left = "ls -d /opt/hybrid-mesh /etc/mesh-agent /var/lib/mesh-agent 2>/dev/null; true"
    assert joined.host("node1", "sh", "-c", left) == ""

    def registered() -> set[str]:
        entries = joined.api.get("workloadentries", "--namespace=shop")["items"]
        return {entry["spec"]["address"] for entry in entries}

    wait("only the VM is registered", lambda: registered() == {VM_ADDRESS})
    cluster_works(joined, "offboarded")
    joined.reboot_node()
    cluster_works(joined, "last")
