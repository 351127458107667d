"""A host without anything becomes one with a certificate, and bad proofs are told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_core.clock import SystemClock
from mesh_core.pki import key_matches, new_key, read_certificate
from tests.wire.control.support import Host, Plane


class Past(SystemClock):
    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)


async def refusal(host: Host, token: str | None) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        await host.ask_certificate(token=token)
    return caught.value.status, str(caught.value.message)


async def test_token_then_certificate_then_renewals(plane: Plane) -> None:
    host = await Host(plane).join()
    leaf = host.chain.read_bytes()
    assert read_certificate(leaf).uri_sans == ("spiffe://cluster.local/ns/shop/sa/api",)
    assert key_matches(host.key.read_bytes(), leaf)
    assert host.root.read_text() in host.chain.read_text()
    serials = {read_certificate(leaf).serial_hex}
    for _ in range(3):
        chain = await host.ask_certificate(certificate=True, seconds=600)
        host.chain.write_text("".join(chain))
        serials.add(read_certificate(chain[0].encode()).serial_hex)
    assert len(serials) == 4
    assert (await plane.status())["certificates"]["issued"] == 4
    assert "citadel_server_success_cert_issuance_count 4\n" in await plane.metrics()


async def test_bad_tokens_are_told_apart(plane: Plane) -> None:
    host = Host(plane)
    status, message = await refusal(host, None)
    assert (status, message) == (
        Status.UNAUTHENTICATED,
        "no client certificate; no bearer token",
    )
    status, message = await refusal(host, plane.tokens(clock=Past()).issue("shop", "api").text)
    assert status is Status.UNAUTHENTICATED
    assert "token expired at 20" in message
    status, message = await refusal(host, plane.tokens(audience="vault").issue("shop", "api").text)
    assert status is Status.UNAUTHENTICATED
    assert "token audience: expected istio-ca, found vault" in message
    status, message = await refusal(host, "nonsense")
    assert status is Status.UNAUTHENTICATED
    assert "expected a JWT of mesh-control" in message
    assert (await plane.status())["certificates"] | {"issued": 0, "refused": 4} == (
        await plane.status()
    )["certificates"]


async def test_a_token_is_good_for_one_host_also_after_a_restart(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    first, second = Host(plane, name="api-1"), Host(plane, name="api-2")
    async with plane.running():
        token = plane.tokens().issue("shop", "api").text
        await first.ask_certificate(token=token)
        # Its answer was lost: the same host asks again.
        await first.ask_certificate(token=token)
        status, message = await refusal(second, token)
        assert status is Status.UNAUTHENTICATED
        assert "token was used already, for another key" in message
    async with plane.running():
        await first.ask_certificate(token=token)
        assert (await refusal(second, token))[0] is Status.UNAUTHENTICATED
        first.key.write_bytes(new_key())
        assert (await refusal(first, token))[0] is Status.UNAUTHENTICATED


async def test_a_certificate_outlives_a_restart(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    async with plane.running():
        host = await Host(plane).join()
    async with plane.running():
        await host.ask_certificate(certificate=True)
