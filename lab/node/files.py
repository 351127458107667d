# SPDX-License-Identifier: Apache-2.0
"""What is laid into a node: its difference to the image. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab.cluster.pki import Pair
from lab.files import DOMAIN, File
from lab.node.spec import Node, NodeSet

_WANTED = "etc/systemd/system/multi-user.target.wants"
_UNITS = ("kubelet.service", "kube-proxy.service")


def host_files(nodes: NodeSet, node: Node, public_key: str) -> list[File]:
    """Before the first boot: who may log in, names, and how pods reach one another."""
    return [
        File("root/.ssh/authorized_keys", public_key, 0o600),
        File(
            "etc/hosts", f"127.0.0.1 localhost\n{node.address} {node.name}.{DOMAIN} {node.name}\n"
        ),
        File("etc/resolv.conf", f"search {DOMAIN}\nnameserver {nodes.nameserver}\n"),
        File("etc/cni/net.d/10-bridge.conflist", json.dumps(_bridge(node))),
        *pod_routes([other for other in nodes.nodes if other != node]),
    ]


def pod_routes(nodes: Sequence[Node]) -> list[File]:
    """A unit that leads to the pods of these nodes, for a host on their network."""
    name = "pod-routes.service"
    commands = [f"ExecStart=ip route replace {node.pods} via {node.address}" for node in nodes]
    unit = ["[Unit]", "Description=The way to the pods of other nodes", "After=network.target"]
    unit += ["[Service]", "Type=oneshot", "RemainAfterExit=true", *commands]
    unit += [] if commands else ["ExecStart=true"]
    return [
        File(f"etc/systemd/system/{name}", "\n".join(unit) + "\n"),
        File(f"{_WANTED}/{name}", target=f"/etc/systemd/system/{name}"),
    ]


def credentials(authority: bytes, serving: Pair, kubelet: str, proxy: str) -> list[File]:
    """What kubelet and kube-proxy need to join, and that they start at boot from now on.

    `authority` is the cluster's certificate; `kubelet` and `proxy` are kubeconfigs.
    """
    where = "etc/kubernetes"
    return [
        File(f"{where}/ca.crt", authority.decode()),
        File(f"{where}/kubelet.crt", serving.certificate.decode()),
        File(f"{where}/kubelet.key", serving.key.decode(), 0o600),
        File(f"{where}/kubelet.kubeconfig", kubelet, 0o600),
        File(f"{where}/proxy.kubeconfig", proxy, 0o600),
        *(File(f"{_WANTED}/{u}", target=f"/etc/systemd/system/{u}") for u in _UNITS),
    ]


def _bridge(node: Node) -> dict[str, object]:
    """Pods on one bridge, their addresses from the node's range, no translation between pods."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(node.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}
