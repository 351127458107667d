# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from mesh_agent.identity import client
from mesh_agent.identity.client import CertificateClient, SigningError
from mesh_agent.identity.keys import KeyWorker, open_worker
from mesh_agent.identity.model import CertificateDetails
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import ControlPlaneSettings, Endpoint
from mesh_agent.identity.store import IdentityStore
from mesh_agent.settings import AgentSettings, Paths
from mesh_core import pki
from mesh_core.clock import SystemClock
from mesh_core.wire import rpc, types
from tests.wire.agent.support.host import running_host
from tests.wire.agent.support.plane import Plane, until


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
            async with asyncio.timeout(10):
                message = await stream.recv_message()
            response = discovery_pb2.DiscoveryResponse.FromString(message or b"")
            request.response_nonce = response.nonce
            request.version_info = response.version_info
            await stream.send_message(request.SerializeToString())
            found = [secret_pb2.Secret.FromString(each.value) for each in response.resources]
            return {secret.name: secret for secret in found}

        yield stream, secrets
        await stream.cancel()


async def test_token_then_certificate_then_a_pushed_renewal(
    plane: Plane, settings: AgentSettings, paths: Paths
) -> None:
    soon = replace(settings.identity, rotate_ratio=0.0002, rotate_jitter=0.0)  # of an hour
    settings = replace(settings, identity=soon)
    async with running_host(settings, paths) as host, sds(paths, "default", "ROOTCA") as (_, get):
        first, second = await get(), await get()
        assert host.identity.valid
    assert plane.proofs[:2] == ["token", "certificate"]
    assert not settings.identity.token.exists()
    assert plane.metadata[0]["authorization"] == "Bearer t"
    assert plane.metadata[0]["clusterid"] == "mesh1"
    assert "authorization" not in plane.metadata[1]
    assert first["ROOTCA"].validation_context.trusted_ca.inline_bytes == plane.root.read_bytes()
    chains = [each["default"].tls_certificate for each in (first, second)]
    assert chains[0].certificate_chain != chains[1].certificate_chain
    for chain in chains:
        pem = chain.certificate_chain.inline_bytes
        assert pki.key_matches(chain.private_key.inline_bytes, pem)
        assert pki.read_certificate(pem).uri_sans == (str(settings.spiffe_id),)


async def test_sds_waits_for_the_first_certificate(
    plane: Plane, settings: AgentSettings, paths: Paths
) -> None:
    await plane.stop()
    async with running_host(settings, paths) as host, sds(paths, "default") as (_, get):
        answer = asyncio.create_task(get())
        await until(lambda: host.identity.status().last_error)
        assert not answer.done()
        await plane.start()
        assert "default" in await answer


async def test_after_a_restart_the_certificate_on_disk_serves_without_the_control_plane(
    plane: Plane, settings: AgentSettings, paths: Paths
) -> None:
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        serial = host.identity.status().serial
    await plane.stop()
    async with running_host(settings, paths) as host, sds(paths, "default") as (_, get):
        assert "default" in await get()
        assert host.identity.status().serial == serial
        assert host.identity.status().last_error is None


@pytest.mark.parametrize("kind", ["no address", "wrong name", "other authority", "silent"])
async def test_failures_say_what_and_where(
    kind: str,
    plane: Plane,
    settings: AgentSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    control_plane, port = settings.control_plane, plane.port
    if kind == "no address":
        await plane.stop()
        expected = f"control plane 127.0.0.1:{port}: cannot be reached: Connection refused"
    elif kind == "wrong name":
        control_plane = replace(control_plane, server_name="istiod.other.svc")
        expected = "its certificate is not accepted: Hostname mismatch.*name istiod.other.svc"
    elif kind == "other authority":
        other = Plane(tmp_path / "other")
        control_plane = replace(control_plane, root_certificate=other.root)
        expected = f"its certificate is not accepted: .*an authority in {other.root}"
    else:
        plane.silent = True
        monkeypatch.setattr(client, "DEADLINE_SECONDS", 0.3)
        expected = f"control plane 127.0.0.1:{port}: no answer in time"
    signer = CertificateClient(control_plane, cluster_id="c", lifetime_seconds=60)
    with pytest.raises(SigningError, match=expected) as raised:
        await signer.sign(b"csr", control_plane.endpoints, token="t")
    assert not raised.value.refused


async def test_a_refused_token_is_told_apart(plane: Plane, settings: AgentSettings) -> None:
    signer = CertificateClient(settings.control_plane, cluster_id="c", lifetime_seconds=60)
    with pytest.raises(SigningError, match="answered UNAUTHENTICATED: the token is") as raised:
        await signer.sign(b"csr", settings.control_plane.endpoints, token="wrong")
    assert raised.value.refused
    assert not raised.value.exhausted


async def test_one_with_too_much_to_do_is_told_apart(plane: Plane, settings: AgentSettings) -> None:
    plane.certificates_per_second = 0.001
    signer = CertificateClient(settings.control_plane, cluster_id="c", lifetime_seconds=60)
    for exhausted in (False, True):  # its one answer for a long time is that about the token
        with pytest.raises(SigningError) as raised:
            await signer.sign(b"csr", settings.control_plane.endpoints, token="wrong")
        assert (raised.value.exhausted, raised.value.refused) == (exhausted, not exhausted)


class Keys:
    """A key worker in this process: thirty of them would take the test's time."""

    async def new_request(self, spiffe_id: str) -> tuple[bytes, bytes]:
        key = pki.new_key()
        return key, pki.new_csr(key, spiffe_id)

    async def read(self, key_pem: bytes, chain_pem: bytes) -> CertificateDetails:
        assert pki.key_matches(key_pem, chain_pem)
        found = pki.read_certificate(chain_pem)
        return CertificateDetails(
            found.uri_sans[0], found.serial_hex, found.not_before, found.not_after
        )


async def test_thirty_hosts_get_certificates_from_one_that_signs_few_at_a_time(
    plane: Plane, settings: AgentSettings, tmp_path: Path
) -> None:
    plane.certificates_per_second = 20

    @contextlib.asynccontextmanager
    async def worker() -> AsyncIterator[KeyWorker]:
        yield cast(KeyWorker, Keys())

    hosts = []
    for number in range(30):
        directory = tmp_path / f"host-{number}"
        directory.mkdir()
        (directory / "token").write_text(directory.name)
        plane.tokens[directory.name] = str(settings.spiffe_id)
        hosts.append(
            IdentityService(
                settings.spiffe_id,
                replace(settings.identity, token=directory / "token"),
                settings.control_plane.endpoints,
                store=IdentityStore(directory / "identity"),
                signer=CertificateClient(
                    settings.control_plane, cluster_id="c", lifetime_seconds=600
                ),
                worker=worker,
                clock=SystemClock(),
            )
        )
    tasks = [asyncio.create_task(host.run()) for host in hosts]
    try:
        await until(lambda: all(host.valid for host in hosts), 30)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(plane.proofs) == 30
    assert (
        30 < len(plane.metadata) < 30 * 6
    )  # some were refused, and did not ask as fast as it goes


async def test_a_root_that_cannot_be_read_is_named(plane: Plane, tmp_path: Path) -> None:
    settings = ControlPlaneSettings(
        addresses=(f"127.0.0.1:{plane.port}",), root_certificate=tmp_path / "none.pem"
    )
    signer = CertificateClient(settings, cluster_id="c", lifetime_seconds=60)
    with pytest.raises(Exception, match=r"none.pem: expected readable PEM certificates: No such"):
        await signer.sign(b"csr", settings.endpoints, token="t")


async def test_addresses_are_tried_in_turn(plane: Plane, settings: AgentSettings) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = Endpoint("127.0.0.1", unused.getsockname()[1])
    signer = CertificateClient(settings.control_plane, cluster_id="c", lifetime_seconds=60)
    async with open_worker() as worker:
        _, csr = await worker.new_request(str(settings.spiffe_id))
    endpoints = [away, *settings.control_plane.endpoints]
    assert len(await signer.sign(csr, endpoints, token="t")) == 2


async def test_a_control_plane_with_another_authority_wants_a_token_again(
    plane: Plane, settings: AgentSettings, paths: Paths, tmp_path: Path
) -> None:
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
    new = Plane(tmp_path / "new")
    await new.start()
    new.tokens["again"] = str(settings.spiffe_id)
    settings.identity.token.write_text("again")
    changed = replace(
        settings,
        control_plane=ControlPlaneSettings(
            addresses=(f"127.0.0.1:{new.port}",), root_certificate=new.root
        ),
        identity=replace(settings.identity, rotate_ratio=0.000001, rotate_jitter=0.0),
    )
    async with running_host(changed, paths) as host:
        await until(lambda: new.proofs)
        await until(lambda: not settings.identity.token.exists())
        current = host.identity.current
        assert current
        assert current.root_pem == new.root.read_bytes()
    await new.stop()
