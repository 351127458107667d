# SPDX-License-Identifier: Apache-2.0
"""Answers that no real control plane gives, at least not when a test wants them: scripted.

RESOURCE_EXHAUSTED to a certificate request: neither the embedded control plane nor istiod limits
these; a gateway or a certificate authority in front of them may. UNAVAILABLE to a stream: both say
so for a moment of their start and end only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from mesh_agent.identity.client import CertificateClient, SigningError
from mesh_agent.identity.keys import KeyWorker
from mesh_agent.identity.model import CertificateDetails
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.identity.store import IdentityStore
from mesh_agent.settings import AgentSettings, Paths, WorkloadSettings
from mesh_core import pki
from mesh_core.clock import SystemClock
from tests.wire.agent.support.host import running_host
from tests.wire.agent.support.plane import Plane
from tests.wire.agent.support.proxy import running_envoy
from tests.wire.agent.support.wait import until


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    found = Plane(tmp_path / "plane")
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
def settings(plane: Plane, tmp_path: Path) -> AgentSettings:
    """A host that has the join token ``t``."""
    found = AgentSettings(
        control_plane=ControlPlaneSettings((plane.address,), root_certificate=plane.root),
        workload=WorkloadSettings("api-1", "shop", "api", ("127.0.0.1",), group="api"),
        identity=IdentitySettings(token=tmp_path / "token"),
    )
    found.identity.token.write_text("t\n")
    plane.tokens["t"] = str(found.spiffe_id)
    return found


@pytest.mark.needs_envoy
async def test_an_unavailable_control_plane_is_met_with_patience(
    plane: Plane, settings: AgentSettings, paths: Paths, envoy_binary: Path, tmp_path: Path
) -> None:
    async with running_host(settings, paths) as host:
        await until(lambda: host.identity.valid)
        async with running_envoy(envoy_binary, settings, paths, tmp_path, alone=True):
            await until(lambda: plane.streams >= 2)
            error = str(host.relay.record.status.last_error)
            assert "answered UNAVAILABLE: not now" in error
            tries = plane.streams
            await asyncio.sleep(0.3)
            assert plane.streams <= tries + 1  # and not as fast as it can
            assert host.relay.streams == 1


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
    assert plane.signed == 30
    assert 30 < plane.asked < 30 * 6  # some were refused, and did not ask as fast as it goes
