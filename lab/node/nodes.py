# SPDX-License-Identifier: Apache-2.0
"""Real Kubernetes nodes as hosts of a lab: kubelet, containerd and kube-proxy in containers."""

from __future__ import annotations

import json
import time
from pathlib import Path

from lab import image
from lab.cluster import ApiServer
from lab.cluster.pki import Authority
from lab.errors import LabError
from lab.files import File, archive
from lab.node import kernel, machine, pods
from lab.node.files import credentials, host_files
from lab.node.podman import create_arguments
from lab.node.spec import Node, NodeSet
from lab.podman import LABEL, object_name, podman
from lab.progress import say, step
from lab.state import ROOT, State
from lab.tools import directory as tools_directory
from lab.tools import tool

DEFINITION = Path(__file__).with_name("image")
REPOSITORY = "localhost/hybrid-mesh-node"
SECONDS = 90


class Nodes:
    """The nodes of one lab. ``create``, then an API server, then ``join``; ``remove`` ends all.

    The lab's network must be there. Every method raises LabError.
    """

    def __init__(self, wanted: NodeSet) -> None:
        self.wanted = wanted

    def create(self) -> None:
        """Starts the nodes, without what makes them a part of a cluster."""
        for name in ("kubelet", "kube-proxy"):
            tool(name)
        wanted = self.wanted
        node_image = image.ensure(ROOT / ".cache", DEFINITION, REPOSITORY)
        images = pods.ensure(ROOT / ".cache", node_image)
        kernel.remember()
        with step("start " + ", ".join(node.name for node in wanted.nodes)):
            for node in wanted.nodes:
                podman(*create_arguments(wanted, node, node_image, tools_directory(), images))
                self._lay(node, host_files(wanted, node, State.of(wanted.lab).public_key()))
                podman("start", self.container(node))
            machine.open_ways(wanted)
        with step("import the pods' images"):
            for node in wanted.nodes:
                self._wait_for("containerd", node, "ctr", "version")
                self.run(node, "ctr", "--namespace", "k8s.io", "images", "import", "/images.tar")

    def join(self, api: ApiServer) -> None:
        """Makes them nodes of the cluster, and waits until they are ready."""
        with step("join the nodes to the cluster"):
            for node in self.wanted.nodes:
                self._lay(node, self._credentials(node, api))
                self.run(node, "systemctl", "daemon-reload")
                self.run(node, "systemctl", "start", "kubelet", "kube-proxy")
            self.wait_ready(api)

    def wait_ready(self, api: ApiServer, seconds: float = SECONDS) -> None:
        """Waits until the cluster finds every node ready."""
        expected = {node.name for node in self.wanted.nodes}
        deadline = time.monotonic() + seconds
        while missing := expected - self.ready(api):
            if time.monotonic() > deadline:
                raise LabError(f"not ready after {seconds:.0f} s: {', '.join(sorted(missing))}")
            time.sleep(0.2)

    def ready(self, api: ApiServer) -> set[str]:
        """The names of the nodes that the cluster finds ready."""
        found = json.loads(api.kubectl("get", "nodes", "--output", "json"))["items"]
        return {
            item["metadata"]["name"]
            for item in found
            for condition in item["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def run(self, node: Node, *command: str, timeout: float = 120) -> str:
        """Runs a command on a node; gives its output."""
        return podman("exec", self.container(node), *command, timeout=timeout)

    def container(self, node: Node) -> str:
        """The name of the container that is the node."""
        return object_name(self.wanted.lab, node.name)

    def remove(self) -> None:
        """Removes the nodes, whole or not, and what the machine was set to for them."""
        remove(self.wanted.lab)

    def _credentials(self, node: Node, api: ApiServer) -> list[File]:
        authority = Authority.open(api.directory, api.name)
        serving = authority.issue(node.name, sans=[node.name, str(node.address)])
        kubelet = api.kubeconfig_for(f"system:node:{node.name}", ["system:nodes"])
        proxy = api.kubeconfig_for("system:kube-proxy")
        return credentials(
            authority.pair.certificate, serving, kubelet.read_text(), proxy.read_text()
        )

    def _lay(self, node: Node, files: list[File]) -> None:
        content = archive(files, time=int(time.time()))
        podman("cp", "-", f"{self.container(node)}:/", stdin=content)

    def _wait_for(self, what: str, node: Node, *command: str) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self.run(node, *command)
                return
            except LabError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"{node.name}: no {what} after {SECONDS} s: {error}") from error
                time.sleep(0.2)


def remove(lab: str) -> None:
    """Removes all nodes of a lab; its other hosts and its network stay."""
    machine.close_ways(lab)
    selection = ["--filter", f"label={LABEL}={lab}", "--filter", f"label={LABEL}.workload=node"]
    found = podman("ps", "--all", "--no-trunc", "--quiet", *selection).split()
    if found:
        with step(f"remove {len(found)} nodes"):
            podman("rm", "--force", "--volumes", "--time", "0", *found)
            machine.remove_cgroups(found)
    if not podman("ps", "--all", "--quiet", "--filter", f"label={LABEL}.workload=node"):
        for name in kernel.put_back():
            say(f"{name.replace('/', '.')} is what it was")
