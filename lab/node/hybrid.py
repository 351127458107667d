# SPDX-License-Identifier: Apache-2.0
"""A whole cluster beside the hosts of a lab: nodes, API server, Istio in pods, DNS."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from lab import life, start
from lab.cluster import ApiServer, chart
from lab.files import archive
from lab.node import dns, istio, nodes
from lab.node.files import pod_routes
from lab.node.istiod import Istiods
from lab.node.nodes import Nodes
from lab.node.spec import NodeSet
from lab.podman import object_name, podman
from lab.progress import step
from lab.spec import Lab
from lab.state import locked


class HybridCluster:
    """Starts with ``with``, and removes everything at its end, also after a failure.

    `lab` has the other hosts, on the network of `wanted`; state is in `directory`, a new one.
    `environment` are settings of istiod.
    """

    api: ApiServer
    istiods: Istiods

    def __init__(
        self, lab: Lab, wanted: NodeSet, directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.lab = lab
        self.nodes = Nodes(wanted)
        self._directory = directory
        self._environment = environment
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_reason: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        name, address = self.lab.name, str(self.lab.networks[0].gateways[0])
        nodes.remove(name)  # what a killed run left behind
        self._stack.callback(self._down)
        with locked():
            start.up(self.lab, fresh=True)
            self._stack.callback(self.nodes.remove)
            self.nodes.create()
        self._lead_hosts_to_pods()
        self.api = ApiServer(self._directory / "api", address=address, nodes=True)
        with step("start the API server"):
            self._stack.enter_context(self.api)
        self.nodes.join(self.api)
        with step("install Istio"):
            rendered = chart.render(istio.settings(self.api.name, self._environment))
            self.api.namespace(istio.NAMESPACE)
            self.api.apply([*rendered, *dns.objects()])
            self.istiods = Istiods(self.api, self.nodes)
            self.istiods.open()

    def _lead_hosts_to_pods(self) -> None:
        files = archive(pod_routes(self.nodes.wanted.nodes), time=0)
        for host in self.lab.hosts:
            container = object_name(self.lab.name, host.name)
            podman("cp", "-", f"{container}:/", stdin=files)
            podman("exec", container, "systemctl", "daemon-reload")
            podman("exec", container, "systemctl", "start", "pod-routes")

    def _down(self) -> None:
        with locked():
            life.down(self.lab.name)
