"""A real Envoy takes all that the control plane gives, at once and after changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from envoy.config.core.v3 import base_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2

from mesh_control.translate import access_log
from mesh_core.wire import rpc, types
from tests.wire.control.support import OBJECTS, SERVER_NAME, Host, Plane, a_service

HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
}


def cluster(name: str, address: object, **more: object) -> dict[str, object]:
    endpoint = {"endpoint": {"address": address}}
    return {
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": HTTP2,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
        **more,
    }


def bootstrap(host: Host, protocol: str) -> dict[str, Any]:
    """Envoy's own configuration: this control plane by TLS, secrets from a socket."""
    ads = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": SERVER_NAME,
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            "tls_certificates": [
                {
                    "certificate_chain": {"filename": str(host.chain)},
                    "private_key": {"filename": str(host.key)},
                }
            ],
            "validation_context": {
                "trusted_ca": {"filename": str(host.root)},
                "match_typed_subject_alt_names": [
                    {"san_type": "DNS", "matcher": {"exact": SERVER_NAME}}
                ],
            },
        },
    }
    control = {"socket_address": {"address": "127.0.0.1", "port_value": host.plane.port}}
    return {
        "node": {**host.node, "cluster": "test"},
        "dynamic_resources": {
            "ads_config": {
                "api_type": protocol,
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {
            "clusters": [
                cluster("xds", control, transport_socket={"name": "tls", "typed_config": tls}),
                cluster("sds-grpc", {"pipe": {"path": str(host.directory / "sds.sock")}}),
            ]
        },
    }


@asynccontextmanager
async def secrets(host: Host) -> AsyncIterator[None]:
    """What the agent's SDS gives."""
    known = {
        "default": secret_pb2.Secret(
            name="default",
            tls_certificate=common_pb2.TlsCertificate(
                certificate_chain=base_pb2.DataSource(filename=str(host.chain)),
                private_key=base_pb2.DataSource(filename=str(host.key)),
            ),
        ),
        "ROOTCA": secret_pb2.Secret(
            name="ROOTCA",
            validation_context=common_pb2.CertificateValidationContext(
                trusted_ca=base_pb2.DataSource(filename=str(host.root))
            ),
        ),
    }

    async def stream(exchange: rpc.BytesStream) -> None:
        async for data in exchange:
            request = discovery_pb2.DiscoveryRequest.FromString(data)
            if not request.response_nonce:
                answer = discovery_pb2.DiscoveryResponse(
                    version_info="1", type_url=types.SECRET, nonce="1"
                )
                for name in request.resource_names:
                    packed = any_pb2.Any()
                    packed.Pack(known[name])
                    answer.resources.append(packed)
                await exchange.send_message(answer.SerializeToString())

    server = rpc.server(streams={types.SDS_STREAM: stream})
    await server.start(path=str(host.directory / "sds.sock"))
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def envoy(binary: Path, host: Host, protocol: str) -> AsyncIterator[None]:
    path = host.directory / "bootstrap.json"
    path.write_text(json.dumps(bootstrap(host, protocol)))
    with (host.directory / "envoy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "warning",
            stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            process.kill()
            await process.wait()


def settled(status: Any) -> bool:
    """Whether the one proxy has accepted the present mesh in all four types."""
    if len(status["proxies"]) != 1:
        return False
    known = status["proxies"][0]["types"]
    assert not [refusal for kind in known.values() for refusal in kind["nacked"]]
    return {"Cluster", "ClusterLoadAssignment", "Listener", "RouteConfiguration"} <= {
        name for name, kind in known.items() if kind["sent"] == kind["acked"] != ""
    }


RULE = """---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec: {host: api, trafficPolicy: {loadBalancer: {simple: RANDOM}}}
"""
# An Envoy whose cluster waits for its endpoints in vain keeps quiet for 15.
SECONDS = 8.0

pytestmark = pytest.mark.needs_envoy
protocols = pytest.mark.parametrize("protocol", ["DELTA_GRPC", "GRPC"])


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plane:
    """A control plane, not running; listeners log where this test may."""
    monkeypatch.setattr(access_log, "PROOF_FILE", str(tmp_path / "proof.log"))
    return Plane(tmp_path)


def current(status: Any) -> bool:
    """Whether the proxy has accepted the present mesh's clusters and endpoints."""
    [proxy] = status["proxies"] or [{"types": {}}]
    wanted = ("Cluster", "ClusterLoadAssignment")
    return all(
        proxy["types"].get(name, {}).get("acked") == status["mesh"] for name in wanted
    ) and not any(known["nacked"] for known in proxy["types"].values())


@protocols
async def test_envoy_accepts_everything_without_waiting(
    plane: Plane, envoy_binary: Path, protocol: str
) -> None:
    async with plane.running():
        host = await Host(plane).join()
        async with secrets(host), envoy(envoy_binary, host, protocol):
            began = time.monotonic()
            before = await plane.status_when(settled)
            # A cluster that Envoy has changes, its endpoints do not, and one more comes.
            plane.write(OBJECTS + a_service("more") + RULE)
            await plane.status_when(lambda now: now["mesh"] != before["mesh"] and current(now))
            assert time.monotonic() - began < SECONDS


@protocols
async def test_envoy_catches_up_after_a_restart_of_the_control_plane(
    plane: Plane, envoy_binary: Path, protocol: str
) -> None:
    async with AsyncExitStack() as stack:
        async with plane.running():
            host = await Host(plane).join()
            await stack.enter_async_context(secrets(host))
            await stack.enter_async_context(envoy(envoy_binary, host, protocol))
            await plane.status_when(settled)
        plane.write(OBJECTS + RULE)
        async with plane.running():
            began = time.monotonic()
            # Endpoints have not changed: with delta, they are sent for the changed cluster's sake.
            await plane.status_when(current)
            assert time.monotonic() - began < SECONDS


@protocols
async def test_what_envoy_refuses_is_named(
    plane: Plane, envoy_binary: Path, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "PROOF_FILE", "/no/such/directory/proof.log")
    async with plane.running():
        host = await Host(plane).join()
        async with secrets(host), envoy(envoy_binary, host, protocol):

            def refused(status: Any) -> list[Any]:
                [proxy] = status["proxies"] or [{"types": {}}]
                return list(proxy["types"].get("Listener", {}).get("nacked", ()))

            nacks = refused(await plane.status_when(refused))
            assert {nack["resource"] for nack in nacks} == {"0.0.0.0_80", "virtualOutbound"}
            assert all("/no/such/directory" in nack["message"] for nack in nacks)
