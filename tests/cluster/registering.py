# SPDX-License-Identifier: Apache-2.0
"""Hosts that register themselves with istiod: what an agent's connection is to it, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format
from grpclib.exceptions import GRPCError, StreamTerminatedError

from lab.cluster import ApiServer
from lab.cluster.pki import ISTIOD_NAME
from mesh_agent.identity.client import CertificateClient
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_core.pki import new_csr, new_key
from mesh_core.wire import types
from mesh_core.wire.rpc import client_tls, open_stream, tls_channel

_AGAIN_SECONDS = 0.2


class Plane(Protocol):
    """What a host knows of its istiod."""

    @property
    def addresses(self) -> list[str]: ...

    @property
    def root_certificate(self) -> Path: ...

    @property
    def cluster_id(self) -> str: ...


@asynccontextmanager
async def registered(
    api: ApiServer, istiod: Plane, directory: Path, host: dict[str, Any]
) -> AsyncIterator[None]:
    """Until the end of the block, a host is connected, and connects again when it is not.

    `host` is as registry_reconcile takes it; `service_account` has to exist.
    """
    context = await _identity(api, istiod, directory, host)
    task = asyncio.create_task(_stay(istiod, context, _node(istiod, host)))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _identity(api: ApiServer, istiod: Plane, directory: Path, host: dict[str, Any]) -> Any:
    namespace, account = host["namespace"], host["service_account"]
    settings = ControlPlaneSettings(
        addresses=tuple(istiod.addresses),
        server_name=ISTIOD_NAME,
        root_certificate=istiod.root_certificate,
    )
    client = CertificateClient(settings, cluster_id=istiod.cluster_id, lifetime_seconds=3600)
    key = new_key()
    csr = new_csr(key, f"spiffe://cluster.local/ns/{namespace}/sa/{account}")
    chain = await client.sign(csr, [_endpoint(istiod)], token=api.token(namespace, account))
    _keep(directory, chain, key)
    return client_tls(
        istiod.root_certificate, certificate=directory / "chain.pem", key=directory / "key.pem"
    )


def _keep(directory: Path, chain: tuple[str, ...], key: bytes) -> None:
    directory.mkdir()
    (directory / "chain.pem").write_text("".join(chain[:-1]))
    (directory / "key.pem").write_bytes(key)


def _endpoint(istiod: Plane) -> Endpoint:
    address, _colon, port = istiod.addresses[0].rpartition(":")
    return Endpoint(address, int(port))


def _node(istiod: Plane, host: dict[str, Any]) -> dict[str, Any]:
    name, namespace = host["name"], host["namespace"]
    return {
        "id": f"sidecar~{host['address']}~{name}.{namespace}~{namespace}.svc.cluster.local",
        "metadata": {
            "NAME": name,
            "NAMESPACE": namespace,
            "SERVICE_ACCOUNT": host["service_account"],
            "INSTANCE_IPS": host["address"],
            "NETWORK": host["network"],
            "CLUSTER_ID": istiod.cluster_id,
            "LABELS": host["labels"],
            "AUTO_REGISTER_GROUP": host["group"],
            "ISTIO_VERSION": "1.32.0",
        },
    }


async def _stay(istiod: Plane, context: Any, node: dict[str, Any]) -> None:
    request = discovery_pb2.DiscoveryRequest(type_url=types.CLUSTER)
    json_format.ParseDict(node, request.node)
    endpoint = _endpoint(istiod)
    while True:
        channel = tls_channel(endpoint.host, endpoint.port, context, ISTIOD_NAME)
        try:
            async with open_stream(channel, types.ADS_STREAM) as stream:
                await stream.send_message(request.SerializeToString())
                while await stream.recv_message() is not None:
                    pass
        except (OSError, GRPCError, StreamTerminatedError):
            pass
        finally:
            channel.close()
        await asyncio.sleep(_AGAIN_SECONDS)
