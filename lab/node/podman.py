# SPDX-License-Identifier: Apache-2.0
"""How a node is said to podman. Pure."""

from __future__ import annotations

from pathlib import Path

from lab.node.spec import Node, NodeSet
from lab.podman import LABEL, mac_address, object_name
from lab.spec import Interface


def create_arguments(nodes: NodeSet, node: Node, image: str, tools: Path, pods: Path) -> list[str]:
    """`podman create` for one node: systemd as PID 1, and all that a container runtime may do.

    `tools` has Kubernetes' programs, `pods` is the archive of the pods' images.
    """
    interface = Interface(nodes.network.name, (node.address,))
    network = object_name(nodes.lab, nodes.network.name)
    address = f"ip={node.address},mac={mac_address(interface)},interface_name=eth0"
    labels = {
        LABEL: nodes.lab,
        f"{LABEL}.host": node.name,
        f"{LABEL}.workload": "node",
        f"{LABEL}.addresses": str(node.address),
    }
    arguments = ["create", "--replace", "--name", object_name(nodes.lab, node.name)]
    arguments += ["--hostname", node.name, "--systemd=always", "--privileged"]
    for name, value in labels.items():
        arguments += ["--label", f"{name}={value}"]
    # Pods' cgroups are the container's own, and its /var no overlay, on which containerd's needs
    # to lie.
    arguments += ["--cgroupns=private", "--tmpfs", "/tmp", "--tmpfs", "/run", "--volume", "/var"]  # noqa: S108
    arguments += ["--volume", f"{tools.resolve()}:/opt/kubernetes:ro"]
    arguments += ["--volume", f"{pods.resolve()}:/images.tar:ro"]
    arguments += ["--dns", "none", "--no-hosts", "--network", f"{network}:{address}"]
    return [*arguments, image, "/sbin/init"]
