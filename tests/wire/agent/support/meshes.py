# SPDX-License-Identifier: Apache-2.0
"""Control planes that are real: the embedded one and istiod, in the same words."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import yaml

from lab.cluster import ApiServer, Istiod
from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.settings import AgentSettings, MeshSettings, PortSettings, WorkloadSettings
from mesh_core import http
from mesh_core.clock import Clock
from tests.wire.control.support import Plane as EmbeddedPlane

PORTS = {"http": 8080, "grpc": 9090, "tcp": 7070}


class Mesh(Protocol):
    """A control plane with a namespace for this test; hosts get ``api`` and ``web`` accounts."""

    kind: Literal["embedded", "istiod"]
    namespace: str
    cluster_id: str

    @property
    def address(self) -> str:
        """HOST:PORT."""

    @property
    def root(self) -> Path:
        """What a host trusts."""

    async def start(self) -> None:
        """Start it, again on the same port; nothing if it runs."""

    async def stop(self) -> None:
        """End it as a crash does; nothing if it does not run."""

    def token(self, account: str, *, seconds: float = 600, audience: str = "istio-ca") -> str:
        """Return a join token; a negative life is over."""

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or replace objects of Istio's API in the namespace."""

    def remove(self, kind: str, name: str) -> None:
        """Remove an object that `apply` made."""

    async def entries(self) -> dict[str, Any]:
        """Return address -> whether it is healthy (None: unknown) of what is registered."""

    async def issued(self) -> int:
        """Return how many certificates it has issued since it was started."""


def group(name: str, account: str = "", **ports: int) -> dict[str, Any]:
    """A WorkloadGroup; its account has its name if no other one is given."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadGroup",
        "metadata": {"name": name},
        "spec": {
            "metadata": {"labels": {"app": name}},
            "template": {"serviceAccount": account or name, "ports": ports},
        },
    }


def service(name: str, *ports: tuple[str, int, int]) -> dict[str, Any]:
    """A Service over the hosts of a group; ports are name, port, target."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [
                {"name": port, "port": number, "targetPort": target}
                for port, number, target in ports or (("http", 80, 8080),)
            ],
        },
    }


def name_in(mesh: Mesh, service_name: str = "api") -> str:
    """The name by which hosts call a Service."""
    return f"{service_name}.{mesh.namespace}.svc.cluster.local"


def cluster_in(mesh: Mesh, service_name: str = "api", port: int = 80) -> str:
    """The name of Envoy's cluster for it."""
    return f"outbound|{port}||{name_in(mesh, service_name)}"


def resilience(service_name: str, seconds: int) -> dict[str, Any]:
    """A DestinationRule that makes another cluster of a Service's: its connect timeout is told."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": service_name},
        "spec": {
            "host": service_name,
            "trafficPolicy": {"connectionPool": {"tcp": {"connectTimeout": f"{seconds}s"}}},
        },
    }


def host_of(
    mesh: Mesh,
    directory: Path,
    account: str = "api",
    *,
    token: str | None = None,
    address: str = "10.231.1.21",
    lifetime: int = 3600,
    ports: Sequence[str] = (),
    group_name: str | None = None,
) -> AgentSettings:
    """Settings of a host that has a join token."""
    file = directory / f"{account}-token"
    file.write_text(mesh.token(account) if token is None else token)
    return AgentSettings(
        control_plane=ControlPlaneSettings(addresses=(mesh.address,), root_certificate=mesh.root),
        mesh=MeshSettings(cluster_id=mesh.cluster_id),
        workload=WorkloadSettings(
            name=f"{account}-1",
            namespace=mesh.namespace,
            service_account=account,
            group=group_name or account,
            addresses=(address,),
            labels={"app": account},
            ports=tuple(PortSettings(name, PORTS[name]) for name in ports),
        ),
        identity=IdentitySettings(token=file, lifetime_seconds=lifetime),
    )


def through(address: str, settings: AgentSettings) -> AgentSettings:
    """The same host with another way to its control plane."""
    control_plane = replace(settings.control_plane, addresses=(address,))
    return replace(settings, control_plane=control_plane)


class EmbeddedMesh:
    """Ours."""

    kind: Literal["embedded", "istiod"] = "embedded"
    namespace = "shop"
    cluster_id = "mesh1"

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._plane = EmbeddedPlane(directory, grace=1.0)
        self._plane.write("")
        self._running: contextlib.AsyncExitStack | None = None
        self.apply(group("api", **PORTS), group("web"), service("api"))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._plane.port}"

    @property
    def root(self) -> Path:
        return self._plane.settings.state / "ca" / "root-cert.pem"

    async def start(self) -> None:
        if self._running is None:
            self._running = contextlib.AsyncExitStack()
            await self._running.enter_async_context(self._plane.running())

    async def stop(self) -> None:
        if self._running:
            await self._running.aclose()
            self._running = None

    def token(
        self,
        account: str,
        *,
        seconds: float = 600,
        audience: str = "istio-ca",
        clock: Clock | None = None,
    ) -> str:
        tokens = self._plane.tokens(audience=audience, clock=clock)
        return tokens.issue(self.namespace, account, timedelta(seconds=seconds)).text

    def apply(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            each["metadata"]["namespace"] = self.namespace
            file = self._file(each["kind"], each["metadata"]["name"])
            self._plane.write(yaml.safe_dump(each), file)

    def remove(self, kind: str, name: str) -> None:
        (self._plane.objects / self._file(kind, name)).unlink()

    @staticmethod
    def _file(kind: str, name: str) -> str:
        return f"{kind}-{name}.yaml".lower()

    async def entries(self) -> dict[str, Any]:
        status = await self._plane.status()
        return {each["address"]: each["healthy"] for each in status["workloads"]}

    async def issued(self) -> int:
        return _issued(await self._plane.metrics())


class IstiodMesh:
    """Istio's, beside an API server."""

    kind: Literal["embedded", "istiod"] = "istiod"

    def __init__(self, api: ApiServer, istiod: Istiod, namespace: str) -> None:
        self._api, self._istiod = api, istiod
        self._runs = True
        self.namespace = namespace
        self.cluster_id = istiod.cluster_id
        api.namespace(namespace, "api", "web")
        self.apply(group("api", **PORTS), group("web"), service("api"))

    @property
    def address(self) -> str:
        return self._istiod.addresses[0]

    @property
    def root(self) -> Path:
        return self._istiod.root_certificate

    async def start(self) -> None:
        if not self._runs:
            self._istiod.launch()
            self._runs = True

    async def stop(self) -> None:
        if self._runs:
            self._istiod.kill()
            self._runs = False
        await asyncio.sleep(0)

    def token(self, account: str, *, seconds: float = 600, audience: str = "istio-ca") -> str:
        if seconds < 600:
            return self._api.short_token(self.namespace, account, seconds=int(seconds))
        return self._api.token(self.namespace, account, audience=audience, seconds=int(seconds))

    def apply(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            each["metadata"]["namespace"] = self.namespace
        self._api.apply(list(objects))

    def remove(self, kind: str, name: str) -> None:
        self._api.kubectl("delete", kind, name, f"--namespace={self.namespace}")

    async def entries(self) -> dict[str, Any]:
        found = self._api.get("workloadentries", f"--namespace={self.namespace}")
        return {each["spec"]["address"]: _health(each) for each in found["items"]}

    async def issued(self) -> int:
        url = urlsplit(self._istiod.metrics_url)
        assert url.port
        return _issued((await http.get(url.path, port=url.port)).body.decode())


def _health(entry: dict[str, Any]) -> bool | None:
    for condition in entry.get("status", {}).get("conditions", []):
        if condition["type"] == "Healthy":
            return bool(condition["status"] == "True")
    return None


def _issued(metrics: str) -> int:
    found = re.search(r"^citadel_server_success_cert_issuance_count\S* (\S+)$", metrics, re.M)
    return int(float(found[1])) if found else 0  # istiod leaves out what is nought
