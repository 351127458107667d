"""A control plane on loopback, and hosts that speak to it as agents and Envoys do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from envoy.service.discovery.v3 import discovery_pb2
from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.exceptions import StreamTerminatedError

from mesh_control.app import ControlPlane
from mesh_control.ca.tokens import Tokens, read_key
from mesh_control.settings import Listen, Registration, Settings
from mesh_core.clock import Clock, SystemClock
from mesh_core.http import get
from mesh_core.pki import new_csr, new_key
from mesh_core.wire import rpc, types
from mesh_core.wire.messages import IstioCertificateRequest, IstioCertificateResponse

SERVER_NAME = "istiod.istio-system.svc"

OBJECTS = """\
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: api, namespace: shop}
spec:
  metadata: {labels: {app: api}}
  template: {serviceAccount: api, ports: {http: 8080}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: web, namespace: shop}
spec:
  metadata: {labels: {app: web}}
  template: {serviceAccount: web, ports: {http: 80}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  selector: {app: api}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""
API_CLUSTER = "outbound|80||api.shop.svc.cluster.local"


def a_service(name: str) -> str:
    """A further Service, as YAML."""
    return (
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}, namespace: shop}}\n"
        f"spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}\n"
    )


class Plane:
    """A `ControlPlane` with its directories."""

    def __init__(self, directory: Path, *, grace: float = 10.0) -> None:
        self.directory = directory
        self.objects = directory / "objects"
        self.objects.mkdir(exist_ok=True)
        self.write(OBJECTS)
        self.settings = Settings(
            listen=Listen(xds="127.0.0.1:0", status="127.0.0.1:0"),
            objects=self.objects,
            state=directory / "state",
            registration=Registration(grace_seconds=grace),
        )
        self.port = 0

    def write(self, text: str, name: str = "shop.yaml") -> None:
        """Replace one file of the objects."""
        (self.objects / name).write_text(text)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[ControlPlane]:
        """Run it; after the first time on the same port, as a restarted one would."""
        if self.port:
            listen = Listen(xds=f"127.0.0.1:{self.port}", status="127.0.0.1:0")
            object.__setattr__(self.settings, "listen", listen)
        plane, stop = ControlPlane(self.settings), asyncio.Event()
        task = asyncio.create_task(plane.run(stop))
        try:
            while not plane.status_port:
                await asyncio.sleep(0.01)
                if task.done():
                    await task
            self.port, self.status_port = plane.xds_port, plane.status_port
            yield plane
        finally:
            stop.set()
            await task
            self._cut_connections()

    def _cut_connections(self) -> None:
        """Do what the end of a process does."""
        loop: Any = asyncio.get_running_loop()
        for transport in list(loop._transports.values()):
            if transport.get_extra_info("sockname")[1:2] == (self.port,):
                transport.abort()

    def tokens(self, *, audience: str = "istio-ca", clock: Clock | None = None) -> Tokens:
        """What ``mesh-control token create`` makes tokens with."""
        return Tokens(
            read_key(self.settings.state / "tokens/key.pem"),
            audience=audience,
            trust_domain="cluster.local",
            lifetime=timedelta(minutes=10),
            clock=clock or SystemClock(),
        )

    async def status(self) -> Any:
        """The status as JSON."""
        answer = await get("/status", port=self.status_port)
        assert answer.status == 200
        return json.loads(answer.body)

    async def status_when(self, holds: Callable[[Any], object]) -> Any:
        """The status, asked until ``holds`` is true of it."""
        for _ in range(200):
            status = await self.status()
            if holds(status):
                return status
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true of {status}")

    async def metrics(self) -> str:
        """The metrics' text."""
        return (await get("/metrics", port=self.status_port)).body.decode()


@dataclass
class Host:
    """A host of the mesh: its identity on disk, its node, its connections."""

    plane: Plane
    name: str = "api-1"
    account: str = "api"
    address: str = "10.0.0.21"
    group: str = "api"
    namespace: str = "shop"
    more: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory = self.plane.directory / self.name
        self.directory.mkdir(exist_ok=True)
        self.key = self.directory / "key.pem"
        self.chain = self.directory / "cert-chain.pem"

    @property
    def root(self) -> Path:
        return self.plane.settings.state / "ca/root-cert.pem"

    @property
    def node(self) -> dict[str, object]:
        metadata: dict[str, object] = {
            "NAME": self.name,
            "NAMESPACE": self.namespace,
            "SERVICE_ACCOUNT": self.account,
            "INSTANCE_IPS": self.address,
            "LABELS": {"app": self.account},
            "NETWORK": "",
            "ISTIO_VERSION": "1.27.0",
        }
        if self.group:
            metadata["AUTO_REGISTER_GROUP"] = self.group
        node_id = (
            f"sidecar~{self.address}~{self.name}.{self.namespace}"
            f"~{self.namespace}.svc.cluster.local"
        )
        return {"id": node_id, "metadata": {**metadata, **self.more}}

    def channel(self, *, certificate: bool) -> Channel:
        context = rpc.client_tls(
            self.root,
            certificate=self.chain if certificate else None,
            key=self.key if certificate else None,
        )
        return rpc.tls_channel("127.0.0.1", self.plane.port, context, SERVER_NAME)

    async def ask_certificate(
        self, *, token: str | None = None, certificate: bool = False, seconds: int = 0
    ) -> list[str]:
        """Call CreateCertificate with the host's key, made if it has none; return the chain."""
        if not self.key.exists():
            self.key.write_bytes(new_key())
        csr = new_csr(self.key.read_bytes(), "spiffe://cluster.local/ns/any/sa/any").decode()
        request = IstioCertificateRequest(csr=csr, validity_duration=seconds)
        channel = self.channel(certificate=certificate)
        try:
            answer = await rpc.call(
                channel,
                types.CREATE_CERTIFICATE,
                request.SerializeToString(),
                metadata={"authorization": f"Bearer {token}"} if token else {},
                timeout=10,
            )
        finally:
            channel.close()
        return list(IstioCertificateResponse.FromString(answer).cert_chain)

    async def join(self) -> Self:
        """Get the first certificate with a token."""
        token = self.plane.tokens().issue(self.namespace, self.account).text
        self.chain.write_text("".join(await self.ask_certificate(token=token)))
        return self

    def delta(self, window: Configuration | None = None) -> DeltaStream:
        """Open a delta stream."""
        return DeltaStream(self, window=window)

    def state_of_the_world(self) -> WorldStream:
        """Open a state of the world stream."""
        return WorldStream(self)


class _Stream:
    path = ""
    request: Any
    response: Any

    def __init__(
        self, host: Host, *, certificate: bool = True, window: Configuration | None = None
    ) -> None:
        self.host = host
        self.certificate = certificate
        self.window = window
        self._with_node = True

    async def __aenter__(self) -> Self:
        self.channel = self.host.channel(certificate=self.certificate)
        if self.window:
            self.channel._config = self.window.__for_client__()
        self._opened = rpc.open_stream(self.channel, self.path)
        self.stream = await self._opened.__aenter__()
        await self.stream.send_request()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Go away without a word, as a host does that is switched off; a status is raised."""
        if error is None:
            error = StreamTerminatedError("this side goes away")
        try:
            await self._opened.__aexit__(type(error), error, trace)
        except StreamTerminatedError:
            pass
        finally:
            self.channel.close()

    async def send(self, type_url: str, **fields: Any) -> None:
        message = self.request(type_url=type_url, **fields)
        if self._with_node:
            self._with_node = False
            message.node.id = str(self.host.node["id"])
            message.node.metadata.update(self.host.node["metadata"])
        await self.stream.send_message(message.SerializeToString())

    async def receive(self, seconds: float = 5.0) -> Any:
        async with asyncio.timeout(seconds):
            data = await self.stream.recv_message()
        if data is None:
            raise StreamTerminatedError("the other side ended it")  # becomes the status on leaving
        return self.response.FromString(data)

    async def nothing(self, seconds: float = 0.4) -> bool:
        """Whether nothing comes for a while (longer than changes are gathered)."""
        try:
            await self.receive(seconds)
        except TimeoutError:
            return True
        return False


class DeltaStream(_Stream):
    path = types.ADS_DELTA
    request = discovery_pb2.DeltaDiscoveryRequest
    response = discovery_pb2.DeltaDiscoveryResponse

    async def ask(self, type_url: str, *names: str, have: Mapping[str, str] | None = None) -> None:
        await self.send(
            type_url, resource_names_subscribe=names, initial_resource_versions=have or {}
        )

    async def ack(self, response: Any) -> None:
        await self.send(response.type_url, response_nonce=response.nonce)

    async def nack(self, response: Any, message: str) -> None:
        await self.send(
            response.type_url,
            response_nonce=response.nonce,
            error_detail={"code": 13, "message": message},
        )

    async def expect(self, type_url: str) -> Any:
        """Receive an answer of this type, and accept it."""
        response = await self.receive()
        assert response.type_url == type_url, response.type_url
        await self.ack(response)
        return response


class WorldStream(_Stream):
    path = types.ADS_STREAM
    request = discovery_pb2.DiscoveryRequest
    response = discovery_pb2.DiscoveryResponse

    async def ask(self, type_url: str, *names: str, after: Any = None) -> None:
        await self.send(
            type_url,
            resource_names=names,
            version_info=after.version_info if after else "",
            response_nonce=after.nonce if after else "",
        )

    async def expect(self, type_url: str, *names: str) -> Any:
        """Receive an answer of this type, and accept it, still wanting ``names``."""
        response = await self.receive()
        assert response.type_url == type_url, response.type_url
        await self.ask(type_url, *names, after=response)
        return response


def versions(response: Any) -> dict[str, str]:
    """What a delta client remembers of an answer."""
    return {resource.name: resource.version for resource in response.resources}
