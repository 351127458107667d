# SPDX-License-Identifier: Apache-2.0
"""What istiod has registered in a namespace, beside an inventory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lab.cluster import ApiServer

from .modules import run_module

_NETWORKING = "networking.istio.io/v1"


@dataclass(frozen=True, slots=True)
class Registry:
    """The WorkloadEntries of a namespace, and how they compare with an inventory."""

    api: ApiServer
    namespace: str

    def prepare(self, *groups: str) -> None:
        """Makes the namespace, the account, the groups, and a Service that selects app=web."""
        self.api.namespace(self.namespace, "web")
        template = {"template": {"serviceAccount": "web", "ports": {"http": 80}}}
        service = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
        self.api.apply(
            [
                *(self._object("WorkloadGroup", name, template, _NETWORKING) for name in groups),
                self._object("Service", "web", service, "v1"),
            ]
        )

    def names(self) -> set[str]:
        """Of all entries."""
        listed = self.api.kubectl("get", "workloadentries", "-n", self.namespace, "-o", "name")
        return {line.partition("/")[2] for line in listed.split()}

    def annotations(self, name: str) -> dict[str, str]:
        """Of one entry, what istiod wrote: short names."""
        found = self.api.get(f"workloadentry/{name}", f"--namespace={self.namespace}")
        return {
            name.removeprefix("istio.io/"): value
            for name, value in found["metadata"]["annotations"].items()
        }

    async def holds(self, *names: str) -> None:
        """Wait until these are its entries."""
        await until(lambda: self.names() == set(names))

    async def reconcile(
        self, *hosts: dict[str, Any], check: bool = False, **options: Any
    ) -> dict[str, Any]:
        """The result of registry_reconcile for an inventory of these hosts."""
        given = {"kubeconfig": str(self.api.kubeconfig), "hosts": list(hosts), "settle": 1}
        return await asyncio.to_thread(
            run_module, "registry_reconcile", {**given, **options}, check=check
        )

    def _object(self, kind: str, name: str, spec: Any, version: str) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def host(namespace: str, name: str, address: str, **changes: Any) -> dict[str, Any]:
    """A host of the group `web`, as hybrid.mesh.member gives it."""
    return {
        "name": name,
        "namespace": namespace,
        "group": "web",
        "address": address,
        "network": "net-1",
        "labels": {"app": "web"},
        "service_account": "web",
        **changes,
    }


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for the condition."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
