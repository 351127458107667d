# SPDX-License-Identifier: Apache-2.0
"""Nodes as data: files, images, rules, and what of the machine is put back."""

from __future__ import annotations

import json
import tarfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from lab.cluster.pki import Pair
from lab.node import archive, dns, istio, kernel, machine, pods
from lab.node.archive import Image
from lab.node.files import credentials, host_files, pod_routes
from lab.node.podman import create_arguments
from lab.node.spec import NodeSet, node_set
from lab.spec import Network

NETWORK = Network("one", (IPv4Network("10.9.1.0/24"),), (IPv4Address("10.9.1.254"),))


@pytest.fixture
def nodes() -> NodeSet:
    return node_set("lab-1", NETWORK, ["10.9.1.11", "10.9.1.12"], "10.9.1.99")


def test_each_node_has_a_range_of_pods(nodes: NodeSet) -> None:
    assert [(node.name, str(node.pods)) for node in nodes.nodes] == [
        ("node1", "10.244.1.0/24"),
        ("node2", "10.244.2.0/24"),
    ]


def test_a_nodes_files(nodes: NodeSet) -> None:
    files = {file.path: file for file in host_files(nodes, nodes.nodes[0], "key\n")}
    assert files["root/.ssh/authorized_keys"].mode == 0o600
    assert "nameserver 10.9.1.99" in files["etc/resolv.conf"].content
    network = json.loads(files["etc/cni/net.d/10-bridge.conflist"].content)
    assert network["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    routes = files["etc/systemd/system/pod-routes.service"].content
    assert "ip route replace 10.244.2.0/24 via 10.9.1.12" in routes
    assert "10.244.1.0/24" not in routes


def test_one_node_alone_has_a_valid_unit() -> None:
    unit = pod_routes([])[0].content
    assert "ExecStart=true" in unit


def test_credentials_are_the_owners_and_start_at_boot() -> None:
    files = credentials(b"ca", Pair(b"certificate", b"key"), "kubelet", "proxy")
    modes = {file.path.rpartition("/")[2]: file.mode for file in files if file.target is None}
    secret = {name for name, mode in modes.items() if mode == 0o600}
    assert secret == {"kubelet.key", "kubelet.kubeconfig", "proxy.kubeconfig"}
    wanted = {file.target for file in files if file.target}
    names = ("kubelet", "kube-proxy")
    assert wanted == {f"/etc/systemd/system/{name}.service" for name in names}


def test_what_podman_is_told(nodes: NodeSet, tmp_path: Path) -> None:
    words = create_arguments(nodes, nodes.nodes[1], "image", tmp_path, tmp_path / "pods.tar")
    assert words[-2:] == ["image", "/sbin/init"]
    assert "hybrid-mesh.lab=lab-1" in words
    assert f"{tmp_path.resolve()}:/opt/kubernetes:ro" in words
    assert any("ip=10.9.1.12" in word for word in words)


def test_frames_between_hosts_and_pods_are_not_translated(nodes: NodeSet) -> None:
    text = machine.rules(nodes)
    assert text.startswith("add table inet hybrid_mesh_nodes_lab_1\ndelete table")
    assert "ip saddr 10.9.1.0/24 ip daddr 10.244.0.0/16 notrack" in text
    assert "ip saddr 10.244.0.0/16 ip daddr { 10.9.1.0/24, 10.244.0.0/16 } notrack" in text


@pytest.mark.parametrize("parent", ["libpod_parent", "memory/libpod_parent"])
def test_nested_cgroups_of_removed_nodes_go(tmp_path: Path, parent: str) -> None:
    other = tmp_path / parent / "libpod-other" / "kubepods"
    (tmp_path / parent / "libpod-gone" / "kubepods" / "pod1").mkdir(parents=True)
    other.mkdir(parents=True)
    machine.remove_cgroups(["gone"], tmp_path)
    assert not (tmp_path / parent / "libpod-gone").exists()
    assert other.exists()


def test_settings_are_written_down_once_and_put_back(tmp_path: Path) -> None:
    panic, record = tmp_path / "kernel" / "panic", tmp_path / "run" / "record"
    panic.parent.mkdir()
    panic.write_text("0\n")
    kernel.remember(tmp_path, record)
    panic.write_text("10\n")
    kernel.remember(tmp_path, record)
    assert kernel.put_back(tmp_path, record) == ["kernel/panic"]
    assert panic.read_text() == "0\n"
    assert kernel.put_back(tmp_path, record) == []
    assert not record.parent.exists()


def test_an_archive_of_images_with_one_layer(tmp_path: Path) -> None:
    layer, target = tmp_path / "root.tar", tmp_path / "images.tar"
    layer.write_bytes(b"a layer")
    made = {"localhost/a:1": Image(("/a",)), "localhost/b:1": Image(("/b",), "7:7")}
    archive.write(target, layer, made)
    with tarfile.open(target) as images:

        def read(name: str) -> bytes:
            member = images.extractfile(name)
            assert member is not None
            return member.read()

        manifest = json.loads(read("manifest.json"))
        assert [entry["RepoTags"] for entry in manifest] == [["localhost/a:1"], ["localhost/b:1"]]
        configs = [json.loads(read(entry["Config"]))["config"] for entry in manifest]
        assert [(c["Entrypoint"], c["User"]) for c in configs] == [(["/a"], ""), (["/b"], "7:7")]
        assert read("layer.tar") == b"a layer"


def test_the_chart_as_users_have_it_but_for_images_and_sizes() -> None:
    settings = istio.settings("c1", {"PILOT_X": "2s"})
    assert settings["profile"] == "minimal"
    assert settings["values.pilot.env.PILOT_X"] == "2s"
    assert settings["values.global.multiCluster.clusterName"] == "c1"
    images = {value for name, value in settings.items() if name.endswith("image")}
    assert images <= set(pods.IMAGES)
    # The chart's istiod may not run as root, and names no user.
    assert pods.IMAGES[settings["values.pilot.image"]].user == "1337:1337"


def test_dns_is_where_kubelet_says() -> None:
    service = next(o for o in dns.objects() if o["kind"] == "Service")
    settings = (Path(kernel.__file__).parent / "image/root/etc/kubernetes/kubelet.yaml").read_text()
    assert f"clusterDNS: [{service['spec']['clusterIP']}]" in settings
