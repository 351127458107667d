# SPDX-License-Identifier: Apache-2.0
"""The istiods of a cluster with nodes: pods of a Deployment, which end as pods do."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.cluster import ApiServer
from lab.errors import LabError
from lab.node.istio import NAMESPACE
from lab.node.nodes import Nodes

PORT = 15012
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Pod:
    """One istiod: its pod's name and address."""

    name: str
    address: str


class Istiods:
    """All of them. Hosts reach them at `addresses`, by a load balancer on the first node."""

    def __init__(self, api: ApiServer, nodes: Nodes) -> None:
        self._api = api
        self._nodes = nodes
        self.addresses = [f"{nodes.wanted.nodes[0].address}:{PORT}"]

    def open(self) -> None:
        """Gives their Service a load balancer, as a cloud does; returns when istiod is ready."""
        address = self.addresses[0].rpartition(":")[0]
        self._patch({"spec": {"type": "LoadBalancer"}})
        self._patch({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}, "status")
        self.wait(1)

    def scale(self, count: int) -> list[Pod]:
        """Makes them so many, and waits until they are."""
        how = (f"--namespace={NAMESPACE}", f"--replicas={count}")
        self._api.kubectl("scale", "deploy/istiod", *how)
        return self.wait(count)

    def wait(self, count: int) -> list[Pod]:
        """Waits until there are so many, no others, and all are ready."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self._api.get("pods", f"--namespace={NAMESPACE}", "--selector=app=istiod")
            pods = found["items"]
            if len(pods) == count and all(_ready(pod) for pod in pods):
                return [Pod(p["metadata"]["name"], p["status"]["podIP"]) for p in pods]
            if time.monotonic() > deadline:
                raise LabError(f"after {SECONDS} s there are {len(pods)} istiods, or one not ready")
            time.sleep(0.2)

    def freeze(self, pod: Pod) -> None:
        """Stops the process where it is: it keeps its connections, and answers nothing."""
        self._signal(pod, "STOP")

    def thaw(self, pod: Pod) -> None:
        """Lets it go on."""
        self._signal(pod, "CONT")

    def lose(self, pod: Pod) -> list[Pod]:
        """Deletes one by force, as with a lost node; gives those that are there afterwards."""
        before = self._api.get("deploy/istiod", f"--namespace={NAMESPACE}")["spec"]["replicas"]
        how = (f"--namespace={NAMESPACE}", "--grace-period=0", "--force")
        self._api.kubectl("delete", "pod", pod.name, *how)
        return self.wait(before)

    def _patch(self, change: Mapping[str, Any], subresource: str = "") -> None:
        how = [f"--namespace={NAMESPACE}", f"--patch={json.dumps(change)}"]
        how += [f"--subresource={subresource}"] if subresource else []
        self._api.kubectl("patch", "service", "istiod", *how)

    def _signal(self, pod: Pod, signal: str) -> None:
        # Its own environment says which pod a process is of.
        script = (
            'for p in $(pidof istiod); do tr "\\0" "\\n" </proc/$p/environ'
            f' | grep -qx POD_NAME={pod.name} && kill -{signal} "$p" && exit; done; exit 1'
        )
        for node in self._nodes.wanted.nodes:
            self._nodes.run(node, "sh", "-c", script)


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
