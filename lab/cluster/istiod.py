# SPDX-License-Identifier: Apache-2.0
"""A real istiod beside the tests: a plain process against an API server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from lab.cluster import chart, istiod_plan
from lab.cluster.api_server import ApiServer
from lab.cluster.endpoint import LOOPBACK, join
from lab.cluster.http import answers, get
from lab.cluster.istiod_plan import IstiodPlan, Ports
from lab.cluster.pki import Authority, write_cacerts
from lab.cluster.ports import free_ports
from lab.cluster.process import Process
from lab.tools import directory as tools_directory
from lab.tools import tool

READY_SECONDS = 60.0
# One that leads a remote cluster never ends by itself.
STOP_SECONDS = 5.0


class Istiod:
    """An istiod of the cluster of `api`, on free ports; its files are in `directory`, a new one.

    `root` is the mesh's root, shared by clusters that trust each other and by several istiods of
    one cluster; without it there is a new one. `address` takes agents. `environment` are settings
    of istiod, `arguments` further ones of `discovery`. `mesh`, `networks`, `network`: see
    istiod_plan.objects. `api` must run when this starts.
    """

    def __init__(
        self,
        api: ApiServer,
        directory: Path,
        *,
        name: str = "istiod",
        root: Authority | None = None,
        address: str = LOOPBACK,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        mesh: Mapping[str, Any] | None = None,
        networks: Mapping[str, Any] | None = None,
        network: str = "",
    ) -> None:
        self.api = api
        self.directory = directory.absolute()
        self.root = root or Authority.create(f"{api.name} mesh root")
        self.plan = IstiodPlan(
            cluster=api.name,
            directory=self.directory,
            kubeconfig=api.kubeconfig,
            ports=Ports(*free_ports(len(fields(Ports)), address)),
            address=address,
            name=name,
            environment=dict(environment or {}),
            arguments=tuple(arguments),
        )
        self._objects = istiod_plan.objects(self.plan, mesh, networks, network)
        self.process = Process(
            istiod_plan.command(self.plan, tools_directory()),
            self.directory / "istiod.log",
            self.directory / "work",
        )

    @property
    def cluster_id(self) -> str:
        """What an agent sends as `clusterid`."""
        return self.plan.cluster

    @property
    def addresses(self) -> list[str]:
        """HOST:PORT of mutual TLS: certificates and xDS."""
        return [join(self.plan.address, self.plan.ports.secure)]

    @property
    def plain_address(self) -> str:
        """HOST:PORT of xDS without TLS, on loopback."""
        return join(LOOPBACK, self.plan.ports.plain)

    @property
    def debug_url(self) -> str:
        return f"http://{join(LOOPBACK, self.plan.ports.debug)}"

    @property
    def metrics_url(self) -> str:
        return f"http://{join(LOOPBACK, self.plan.ports.metrics)}/metrics"

    @property
    def root_certificate(self) -> Path:
        """What an agent trusts."""
        return self.directory / "ca" / "root-cert.pem"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_reason: object) -> None:
        self.stop()

    def start(self) -> None:
        """Apply what it needs, start it, wait until it is ready; LabError with its log's end."""
        tool("istiod")
        if not self.root_certificate.exists():
            write_cacerts(self.directory / "ca", self.root, f"{self.cluster_id} {self.plan.name}")
        chart.install_definitions(self.api)
        self.api.apply(self._objects)
        self.launch()

    def launch(self) -> None:
        """Start the process alone and wait until it is ready: no write to the API server."""
        self.process.start()
        self.process.wait_until(lambda: answers(f"{self.debug_url}/ready"), READY_SECONDS)

    def stop(self) -> None:
        """As a rollout does: it may still say goodbye to its clients."""
        self.process.stop(STOP_SECONDS)

    def kill(self) -> None:
        """As a crash does."""
        self.process.kill()

    def restart(self) -> None:
        """Stop, and start on the same ports."""
        self.stop()
        self.launch()

    def debug(self, path: str) -> Any:
        """What /debug/PATH answers, such as `syncz`, `endpointz`, `clusterz`: parsed JSON."""
        return json.loads(get(f"{self.debug_url}/debug/{path}"))
