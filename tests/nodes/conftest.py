# SPDX-License-Identifier: Apache-2.0
"""A real node with injected pods, a VM and an istiod: the example inventory kubernetes_nodes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import inventory, spec
from lab.errors import LabError
from lab.files import File, archive
from lab.node.hybrid import HybridCluster
from lab.node.pods import APP
from lab.node.spec import node_set
from lab.podman import object_name, podman

from .watch import Watch

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "examples" / "kubernetes_nodes" / "hosts.yml"
LAB = "nodes"
PLAIN = "http://plain.plain.svc.cluster.local/"
NODE_ADDRESS, VM_ADDRESS = "10.246.1.11", "10.246.1.21"
NODE_PORT = 30080
# Stock Envoys in pods take istiod's configuration with these off; the agent on hosts takes both.
ENVIRONMENT = {
    "PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": "2s",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
}
_ANSWER = re.compile(r"host=(\S+) version=(\S+) peer=(\S+) xfcc=(.*)")
_IDENTITY = re.compile(r"(By|URI)=spiffe://cluster\.local/ns/([^/;,]+)/sa/([^/;,]+)")


@dataclass(frozen=True)
class Answer:
    """Who answered, and as whom both sides were seen: NAMESPACE/ACCOUNT, or None."""

    host: str
    version: str
    peer: str
    server: str | None
    caller: str | None


def answers(text: str) -> list[Answer]:
    """The answers among the lines of a program's output."""
    found = []
    for host, version, peer, certificate in _ANSWER.findall(text):
        names = {kind: f"{space}/{name}" for kind, space, name in _IDENTITY.findall(certificate)}
        address = peer.removeprefix("[::ffff:").rstrip("]")
        found.append(Answer(host, version, address, names.get("By"), names.get("URI")))
    return found


class Mesh:
    """The running cluster with its hosts, and the ways to call from each."""

    def __init__(self, cluster: HybridCluster) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.nodes = cluster.nodes
        self.node = cluster.nodes.wanted.nodes[0]
        self.joining = self.watch()

    def watch(self) -> Watch:
        """What the cluster does for ordinary pods, to be tried while something changes."""

        def node_port() -> bool:
            url = f"http://{NODE_ADDRESS}:{NODE_PORT}/"
            return bool(answers(self.host("outsider", "curl", "-s", "-m", "5", url)))

        return Watch(
            {
                "a pod calls a service by name": lambda: bool(
                    self.from_pod("plain", PLAIN, namespace="plain")
                ),
                "a node port answers": node_port,
                "the node is ready": lambda: self.nodes.ready(self.api) == {self.node.name},
            }
        )

    def reboot_node(self) -> None:
        """What a power switch does, until the node's pods are back."""

        def back() -> bool:
            return len(self.from_pod("plain", PLAIN, 3, namespace="plain")) == 3

        podman("restart", "--time", "10", self.nodes.container(self.node))
        # The cluster takes a node for ready for a while after its end: so its pods are asked.
        wait("a pod of the rebooted node calls a service by name", back, seconds=120)

    def host(self, name: str, *command: str, timeout: float = 60) -> str:
        """Run a command on a host or a node; LabError with its words when it fails."""
        return podman("exec", object_name(LAB, name), *command, timeout=timeout)

    def from_host(self, name: str, url: str, count: int = 1) -> list[Answer]:
        """The answers to calls of a host's program."""
        loop = f"for i in $(seq {count}); do curl -s -m 10 '{url}' || echo failed; done"
        return answers(self.host(name, "sh", "-c", loop, timeout=30 + count))

    def from_pod(
        self, name: str, url: str, count: int = 1, namespace: str = "shop"
    ) -> list[Answer]:
        """The answers to calls of the program in a Deployment's pod."""
        how = ("exec", f"--namespace={namespace}", f"deploy/{name}", "--container=app", "--")
        return answers(self.api.kubectl(*how, "calls", str(count), url, timeout=30 + count))

    def refusal(self, name: str, url: str) -> int:
        """The exit status of curl on a host."""
        script = f"curl -s -m 5 -o /dev/null '{url}'; echo $?"
        return int(self.host(name, "sh", "-c", script))

    def playbook(self, name: str, *arguments: str, timeout: float = 600) -> str:
        """Run one of the collection's playbooks on the example inventory; gives its output."""
        extra = {"mesh_kubeconfig": str(self.api.kubeconfig)}
        done = subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"),
                f"--inventory={INVENTORY}",
                f"--extra-vars={json.dumps(extra)}",
                *arguments,
                f"playbooks/{name}.yml",
            ],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{name}.yml: exit {done.returncode}\n{done.stdout[-8000:]}{done.stderr}")
        return done.stdout

    def rolled_out(self, name: str, namespace: str = "shop", seconds: int = 120) -> None:
        """Wait for a Deployment."""
        how = ("rollout", "status", f"deploy/{name}", f"--namespace={namespace}")
        self.api.kubectl(*how, f"--timeout={seconds}s", timeout=seconds + 10)


def wait(what: str, condition: Callable[[], bool], *, seconds: float = 60) -> float:
    """Wait for a condition, with calls that fail taken as no; gives the time that it took."""
    began = time.monotonic()
    problem = ""
    while time.monotonic() - began < seconds:
        try:
            if condition():
                return time.monotonic() - began
        except LabError as error:
            problem = f": {error}"
        time.sleep(0.25)
    pytest.fail(f"not within {seconds:.0f} s: {what}{problem}")


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """The cluster with pods, and with hosts that have not joined."""
    lab = spec.from_inventory(LAB, inventory.read(INVENTORY))
    wanted = node_set(LAB, lab.networks[0], [NODE_ADDRESS], str(lab.hosts[0].nameserver))
    with HybridCluster(lab, wanted, tmp_path_factory.mktemp("nodes"), ENVIRONMENT) as cluster:
        made = Mesh(cluster)
        _serve(made, "web-vm", 8080)
        _serve(made, "node1", 9100)
        made.api.apply(_objects())
        for name, namespace in (("web", "shop"), ("client", "shop"), ("plain", "plain")):
            made.rolled_out(name, namespace)
        made.rolled_out("coredns", "kube-system")
        yield made


@pytest.fixture(scope="session")
def joined(mesh: Mesh) -> Mesh:
    """The same after site.yml."""
    cluster_works(mesh, "before")
    with mesh.joining:
        mesh.playbook("site")
    return mesh


def cluster_works(mesh: Mesh, name: str) -> None:
    """A pod of this name starts, passes kubelet's probe, resolves, calls and is called; it goes."""
    mesh.api.apply([deployment("plain", name)])
    try:
        mesh.rolled_out(name, "plain")
        mesh.api.kubectl("logs", f"deploy/{name}", "--namespace=plain")
        lookup = ("exec", "--namespace=plain", f"deploy/{name}", "--", "nslookup")
        assert "10.96.0.1\n" in mesh.api.kubectl(*lookup, "kubernetes.default.svc.cluster.local")
        assert "10.246.1.99" in mesh.api.kubectl(*lookup, "outsider.lab.example")
        found = mesh.from_pod(name, PLAIN, 5, namespace="plain")
        assert [answer.caller for answer in found] == [None] * 5
        assert mesh.host("outsider", "curl", "-s", f"http://{NODE_ADDRESS}:{NODE_PORT}/")
    finally:
        mesh.api.kubectl("delete", f"deploy/{name}", "--namespace=plain", "--ignore-not-found")


def _serve(mesh: Mesh, host: str, port: int) -> None:
    """Run the hosts' program as a unit, as `shop-echo` and not as root."""
    unit = (
        "[Service]\nDynamicUser=true\nRestart=always\n"
        f"ExecStart=/usr/bin/python3 /opt/echo.py {port}\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    files = [
        File("opt/echo.py", Path(__file__).with_name("echo.py").read_text()),
        File("etc/systemd/system/echo.service", unit),
    ]
    podman("cp", "-", f"{object_name(LAB, host)}:/", stdin=archive(files, time=int(time.time())))
    mesh.host(host, "systemctl", "daemon-reload")
    mesh.host(host, "systemctl", "enable", "--now", "echo")


def _objects() -> list[dict[str, Any]]:
    """Injected pods in shop, ordinary ones in plain."""
    injected = {"istio-injection": "enabled"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": injected}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "plain"}},
        *(_account("shop", name) for name in ("web", "client")),
        deployment("shop", "web", account="web", version="pods", replicas=2),
        deployment("shop", "client", account="client"),
        deployment("plain", "plain"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "plain", "namespace": "plain"},
            "spec": {
                "type": "NodePort",
                "selector": {"app": "plain"},
                "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
            },
        },
    ]


def _account(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def deployment(
    namespace: str,
    name: str,
    *,
    account: str = "default",
    version: str = "none",
    replicas: int = 1,
) -> dict[str, Any]:
    """Pods of the lab's application, with a probe by kubelet."""
    labels = {"app": name, "version": version}
    container = {
        "name": "app",
        "image": APP,
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "VERSION", "value": version}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    pod = {
        "serviceAccountName": account,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def host_network(name: str, port: int) -> dict[str, Any]:
    """A pod of the namespace plain on the node's own network."""
    made = deployment("plain", name)
    pod = made["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    pod["containers"][0] |= {
        "ports": [{"containerPort": port}],
        "env": [{"name": "PORT", "value": str(port)}],
        "readinessProbe": {"httpGet": {"path": "/", "port": port}, "periodSeconds": 1},
    }
    return made
