from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_control.ca.service import CertificateService
from mesh_control.ca.serving import ServingCertificate
from mesh_control.ca.spent import SpentTokens
from mesh_control.ca.tokens import Tokens
from mesh_control.settings import Certificates
from mesh_control.web.metrics import Metrics
from mesh_core.pki import Authority, key_matches, new_csr, new_key, read_certificate
from mesh_core.wire.messages import IstioCertificateRequest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
URI = "spiffe://cluster.local/ns/shop/sa/api"


@dataclass
class Clock:
    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


class Place:
    """A certificate service with all that it needs."""

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.authority = Authority.open(directory / "ca", "cluster.local", self.clock)
        self.tokens = Tokens(
            ec.generate_private_key(ec.SECP256R1()),
            audience="istio-ca",
            trust_domain="cluster.local",
            lifetime=timedelta(minutes=10),
            clock=self.clock,
        )
        self.metrics = Metrics()
        self.service = CertificateService(
            self.authority,
            self.tokens,
            SpentTokens.open(directory / "used.jsonl", self.clock),
            Certificates(default_lifetime_seconds=3600, maximum_lifetime_seconds=7200),
            "cluster.local",
            self.metrics,
        )

    def bearer(self) -> str:
        return f"Bearer {self.tokens.issue('shop', 'api').text}"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def request(key: bytes, *, seconds: int = 0, uri: str = "spiffe://evil/ns/a/sa/b") -> bytes:
    csr = new_csr(key, uri).decode()
    message = IstioCertificateRequest(csr=csr, validity_duration=seconds)
    return bytes(message.SerializeToString())


async def test_a_token_gives_its_owners_certificate_whatever_the_request_says(place: Place) -> None:
    key = new_key()
    chain = await place.service.sign(request(key), [], place.bearer())
    leaf = read_certificate(chain[0].encode())
    assert leaf.uri_sans == (URI,)
    assert key_matches(key, chain[0].encode())
    assert leaf.not_after == NOW + timedelta(hours=1)
    assert chain[-1] == place.authority.root_pem
    assert (place.service.issued, place.service.refused) == (1, 0)


async def test_a_certificate_is_renewed_any_number_of_times_and_needs_no_token(
    place: Place,
) -> None:
    for _ in range(3):
        chain = await place.service.sign(request(new_key(), seconds=60), [URI], "")
    assert read_certificate(chain[0].encode()).not_after == NOW + timedelta(seconds=60)


async def test_the_certificate_counts_before_the_token(place: Place) -> None:
    other = "spiffe://cluster.local/ns/shop/sa/web"
    token = place.bearer()
    chain = await place.service.sign(request(new_key()), [other], token)
    assert read_certificate(chain[0].encode()).uri_sans == (other,)
    # And the token was not used for it.
    await place.service.sign(request(new_key()), [], token)


async def test_a_certificate_of_elsewhere_falls_back_to_the_token(place: Place) -> None:
    chain = await place.service.sign(
        request(new_key()), ["spiffe://other/ns/shop/sa/api"], place.bearer()
    )
    assert read_certificate(chain[0].encode()).uri_sans == (URI,)


async def refusal(place: Place, data: bytes, authorization: str) -> tuple[Status, str]:
    with pytest.raises(GRPCError) as caught:
        await place.service.sign(data, [], authorization)
    return caught.value.status, str(caught.value.message)


async def test_without_proof_both_reasons_are_said(place: Place) -> None:
    status, message = await refusal(place, request(new_key()), "")
    assert status is Status.UNAUTHENTICATED
    assert message == "no client certificate; no bearer token"
    old = place.bearer()
    place.clock.time += timedelta(hours=1)
    status, message = await refusal(place, request(new_key()), old)
    assert status is Status.UNAUTHENTICATED
    assert message.startswith("no client certificate; token expired at 2026-01-02T03:14:05Z")
    text = place.metrics.render()
    assert "citadel_server_csr_count 2\n" in text
    assert "citadel_server_authentication_failure_count 2\n" in text
    assert "citadel_server_success_cert_issuance_count 0\n" in text


async def test_a_token_serves_one_host_which_may_repeat_its_request(place: Place) -> None:
    token, key = place.bearer(), new_key()
    await place.service.sign(request(key), [], token)
    await place.service.sign(request(key), [], token)
    status, message = await refusal(place, request(new_key()), token)
    assert status is Status.UNAUTHENTICATED
    assert "used already" in message


async def test_of_many_at_once_one_wins(place: Place) -> None:
    token = place.bearer()
    results = await asyncio.gather(
        *(place.service.sign(request(new_key()), [], token) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, GRPCError) for result in results) == 7


async def test_a_bad_request_does_not_use_up_the_token(place: Place) -> None:
    token = place.bearer()
    for data in (b"\xff", b"", IstioCertificateRequest(csr="nonsense").SerializeToString()):
        status, message = await refusal(place, data, token)
        assert status is Status.INVALID_ARGUMENT
        assert message.startswith("expected a PEM certificate request")
    status, message = await refusal(place, request(new_key(), seconds=7201), token)
    assert status is Status.INVALID_ARGUMENT
    assert message == "validity: expected at most 7200 seconds, found 7201"
    status, _ = await refusal(place, request(new_key(), seconds=2**62), token)
    assert status is Status.INVALID_ARGUMENT
    await place.service.sign(request(new_key()), [], token)


async def test_a_token_that_cannot_be_recorded_gives_no_certificate(
    place: Place, tmp_path: Path
) -> None:
    token, key = place.bearer(), new_key()
    (tmp_path / "used.jsonl").unlink()
    (tmp_path / "used.jsonl").mkdir()
    status, message = await refusal(place, request(key), token)
    assert status is Status.UNAVAILABLE
    assert "cannot be recorded" in message
    (tmp_path / "used.jsonl").rmdir()
    await place.service.sign(request(new_key()), [], token)


def test_the_serving_certificate_is_renewed_in_time_with_the_same_context(tmp_path: Path) -> None:
    clock = Clock()
    authority = Authority.open(tmp_path / "ca", "cluster.local", clock)
    path = tmp_path / "tls/serving.pem"
    serving = ServingCertificate(
        authority,
        path,
        root=tmp_path / "ca/root-cert.pem",
        dns=["istiod.istio-system.svc"],
        ips=["10.0.0.1"],
        clock=clock,
        lifetime=timedelta(days=2),
    )
    assert path.stat().st_mode & 0o777 == 0o600
    first, context = path.read_bytes(), serving.context
    certificate = first[first.index(b"-----BEGIN CERT") :]
    info = read_certificate(certificate)
    assert info.dns_sans == ("istiod.istio-system.svc",)
    assert key_matches(first[: first.index(b"-----BEGIN CERT")], certificate)
    clock.time += timedelta(hours=23)
    assert not serving.renew_if_due()
    clock.time += timedelta(hours=1)
    assert serving.renew_if_due()
    assert serving.context is context
    assert path.read_bytes() != first
    assert serving.not_after == clock.time + timedelta(days=2)
    assert not serving.renew_if_due()
