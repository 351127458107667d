# SPDX-License-Identifier: Apache-2.0
"""Certificates from real control planes, and what goes wrong on the way to them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from lab.cluster import Istiod
from mesh_agent.identity import client
from mesh_agent.identity.client import CertificateClient, SigningError
from mesh_agent.identity.keys import open_worker
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_agent.settings import AgentSettings, Paths
from mesh_core import pki
from mesh_core.wire import rpc, types
from tests.wire.agent.support.host import running_host
from tests.wire.agent.support.link import linked
from tests.wire.agent.support.meshes import EmbeddedMesh, IstiodMesh, Mesh, through
from tests.wire.agent.support.wait import until

pytestmark = pytest.mark.timeout(180)


@contextlib.asynccontextmanager
async def sds(paths: Paths, *names: str) -> AsyncIterator[tuple[Any, Any]]:
    """Open a stream as Envoy does; yields a function that gets and accepts the next secrets."""
    async with (
        rpc.unix_channel(paths.sds_socket) as channel,
        rpc.open_stream(channel, types.SDS_STREAM) as stream,
    ):
        request = discovery_pb2.DiscoveryRequest(type_url=types.SECRET, resource_names=names)
        await stream.send_message(request.SerializeToString())

        async def secrets() -> dict[str, Any]:
            async with asyncio.timeout(15):
                message = await stream.recv_message()
            response = discovery_pb2.DiscoveryResponse.FromString(message or b"")
            request.response_nonce = response.nonce
            request.version_info = response.version_info
            await stream.send_message(request.SerializeToString())
            found = [secret_pb2.Secret.FromString(each.value) for each in response.resources]
            return {secret.name: secret for secret in found}

        yield stream, secrets
        await stream.cancel()


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """What the calls for certificates said of themselves, as far as they were answered."""
    said: list[Mapping[str, str]] = []
    call = rpc.call

    async def noted(*given: Any, metadata: Mapping[str, str], **more: Any) -> bytes:
        answer = await call(*given, metadata=metadata, **more)
        said.append(metadata)
        return answer

    monkeypatch.setattr(client.rpc, "call", noted)
    return said


async def test_token_then_certificate_then_a_pushed_renewal(
    mesh: Mesh, settings: AgentSettings, paths: Paths, metadata: list[Mapping[str, str]]
) -> None:
    soon = replace(settings.identity, rotate_ratio=0.0002, rotate_jitter=0.0)  # of an hour
    settings = replace(settings, identity=soon)
    token, before = settings.identity.token.read_text(), await mesh.issued()
    async with running_host(settings, paths) as host, sds(paths, "default", "ROOTCA") as (_, get):
        first, second = await get(), await get()
        assert host.identity.valid
    assert await mesh.issued() - before >= 2
    assert not settings.identity.token.exists()
    assert metadata[0] == {"authorization": f"Bearer {token}", "clusterid": mesh.cluster_id}
    assert metadata[1] == {"clusterid": mesh.cluster_id}  # it proved itself by the certificate
    root = first["ROOTCA"].validation_context.trusted_ca.inline_bytes
    assert root.strip() == mesh.root.read_bytes().strip()
    chains = [each["default"].tls_certificate for each in (first, second)]
    assert chains[0].certificate_chain != chains[1].certificate_chain
    for chain in chains:
        pem = chain.certificate_chain.inline_bytes
        assert pki.key_matches(chain.private_key.inline_bytes, pem)
        assert pki.read_certificate(pem).uri_sans == (str(settings.spiffe_id),)


async def test_sds_waits_for_the_first_certificate(
    mesh: Mesh, settings: AgentSettings, paths: Paths
) -> None:
    await mesh.stop()
    async with running_host(settings, paths) as host, sds(paths, "default") as (_, get):
        answer = asyncio.create_task(get())
        await until(lambda: host.identity.status().last_error)
        assert not answer.done()
        await mesh.start()
        assert "default" in await answer


async def test_after_a_restart_the_certificate_on_disk_serves_without_the_control_plane(
    mesh: Mesh, settings: AgentSettings, paths: Paths
) -> None:
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        serial = host.identity.status().serial
    await mesh.stop()
    async with running_host(settings, paths) as host, sds(paths, "default") as (_, get):
        assert "default" in await get()
        assert host.identity.status().serial == serial
        assert host.identity.status().last_error is None


@pytest.mark.parametrize("kind", ["no address", "wrong name", "other authority", "silent"])
async def test_failures_say_what_and_where(
    kind: str,
    mesh: Mesh,
    settings: AgentSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with linked(mesh.address) as link:
        control_plane = settings.control_plane
        if kind == "no address":
            await mesh.stop()
            expected = f"control plane {mesh.address}: cannot be reached: Connection refused"
        elif kind == "wrong name":
            control_plane = replace(control_plane, server_name="istiod.other.svc")
            expected = "its certificate is not accepted: Hostname mismatch.*name istiod.other.svc"
        elif kind == "other authority":
            root = tmp_path / "other" / "root-cert.pem"
            pki.Authority.open(root.parent, "cluster.local")
            control_plane = replace(control_plane, root_certificate=root)
            expected = f"its certificate is not accepted: .*an authority in {root}"
        else:
            control_plane = through(link.address, settings).control_plane
            link.hold()
            monkeypatch.setattr(client, "DEADLINE_SECONDS", 0.5)
            expected = f"control plane {link.address}: no answer in time"
        signer = CertificateClient(control_plane, cluster_id="c", lifetime_seconds=60)
        with pytest.raises(SigningError, match=expected) as raised:
            await signer.sign(b"csr", control_plane.endpoints, token="t")
        assert not raised.value.refused


async def test_a_connection_that_is_cut_is_told_and_tried_again(
    mesh: Mesh, settings: AgentSettings, paths: Paths
) -> None:
    async with linked(mesh.address) as link:
        link.hold()
        async with running_host(through(link.address, settings), paths) as host:
            await until(lambda: link.held)
            link.cut()
            await until(lambda: host.identity.status().last_error)
            said = str(host.identity.status().last_error)
            assert f"control plane {link.address}: the connection was lost" in said
            assert settings.identity.token.exists()  # it may not have been read
            link.release()
            await until(lambda: host.identity.valid)


async def test_a_refused_token_is_told_apart(mesh: Mesh, settings: AgentSettings) -> None:
    signer = CertificateClient(
        settings.control_plane, cluster_id=mesh.cluster_id, lifetime_seconds=60
    )
    csr = pki.new_csr(pki.new_key(), str(settings.spiffe_id))
    with pytest.raises(SigningError, match=r"answered UNAUTHENTICATED: \w") as raised:
        await signer.sign(csr, settings.control_plane.endpoints, token="wrong")
    sent = f"(sent the cluster ID {mesh.cluster_id} and a token without claims)"
    assert sent in str(raised.value)
    assert raised.value.refused
    assert not raised.value.exhausted


async def test_a_cluster_id_that_nobody_knows_is_named(mesh: Mesh, settings: AgentSettings) -> None:
    """With a token that is good: istiod asks for the cluster first, an embedded one for none."""
    signer = CertificateClient(settings.control_plane, cluster_id="other", lifetime_seconds=60)
    csr, token = pki.new_csr(pki.new_key(), str(settings.spiffe_id)), mesh.token("api")
    if mesh.kind == "embedded":
        assert await signer.sign(csr, settings.control_plane.endpoints, token=token)
        return
    with pytest.raises(SigningError) as raised:
        await signer.sign(csr, settings.control_plane.endpoints, token=token)
    assert "sent the cluster ID other and a token for the audience istio-ca" in str(raised.value)
    assert token not in str(raised.value)


async def test_a_root_that_cannot_be_read_is_named(mesh: Mesh, tmp_path: Path) -> None:
    settings = ControlPlaneSettings(
        addresses=(mesh.address,), root_certificate=tmp_path / "none.pem"
    )
    signer = CertificateClient(settings, cluster_id=mesh.cluster_id, lifetime_seconds=60)
    with pytest.raises(Exception, match=r"none.pem: expected readable PEM certificates: No such"):
        await signer.sign(b"csr", settings.endpoints, token="t")


async def test_addresses_are_tried_in_turn(mesh: Mesh, settings: AgentSettings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = Endpoint("127.0.0.1", unused.getsockname()[1])
        signer = CertificateClient(
            settings.control_plane, cluster_id=mesh.cluster_id, lifetime_seconds=600
        )
        async with open_worker() as worker:
            _, csr = await worker.new_request(str(settings.spiffe_id))
        endpoints = [away, *settings.control_plane.endpoints]
        chain = await signer.sign(csr, endpoints, token=mesh.token("api"))
    assert len(chain) >= 2
    assert pki.read_certificate(chain[0].encode()).uri_sans == (str(settings.spiffe_id),)


@contextlib.asynccontextmanager
async def successor(
    mesh: Mesh, directory: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Mesh]:
    """Replace ``mesh`` by a control plane of the same cluster with an authority of its own."""
    await mesh.stop()  # two istiods of different roots would fight over the cluster's ConfigMaps
    if mesh.kind == "embedded":
        found = EmbeddedMesh(directory)
        await found.start()
        yield found
        await found.stop()
        return
    api = request.getfixturevalue("api_server")
    with Istiod(api, directory, name="istiod-successor") as istiod:
        yield IstiodMesh(api, istiod, mesh.namespace)


async def test_a_control_plane_with_another_authority_wants_a_token_again(
    mesh: Mesh,
    settings: AgentSettings,
    paths: Paths,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    metadata: list[Mapping[str, str]],
) -> None:
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
    async with successor(mesh, tmp_path / "successor", request) as new:
        settings.identity.token.write_text(new.token("api"))
        metadata.clear()
        changed = replace(
            settings,
            control_plane=ControlPlaneSettings(addresses=(new.address,), root_certificate=new.root),
            identity=replace(settings.identity, rotate_ratio=0.000001, rotate_jitter=0.0),
        )
        async with running_host(changed, paths) as host:
            await until(lambda: metadata)
            assert "authorization" in metadata[0]  # the certificate is worth nothing there
            await until(lambda: not settings.identity.token.exists())

            def trusts() -> bool:
                current = host.identity.current
                return bool(current and current.root_pem.strip() == new.root.read_bytes().strip())

            await until(trusts)
