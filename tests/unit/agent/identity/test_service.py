# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from mesh_agent.identity.client import SigningError
from mesh_agent.identity.keys import KeyWorker
from mesh_agent.identity.model import (
    CertificateDetails,
    Identity,
    IdentityError,
    IdentityState,
)
from mesh_agent.identity.service import IdentityService
from mesh_agent.identity.settings import Endpoint, IdentitySettings
from mesh_agent.identity.store import IdentityStore
from mesh_core.identity import SpiffeId
from tests.wire.agent.support.clock import START, StepClock

ME = SpiffeId("cluster.local", "shop", "api")
HOUR = 3600.0


class Enough(Exception):  # noqa: N818 - not an error: the test has seen enough
    pass


class Signer:
    """Answers each call with the next of ``script``: a life in seconds, or an error."""

    def __init__(self, clock: StepClock, script: Sequence[float | Exception]) -> None:
        self.clock, self.script = clock, list(script)
        self.calls: list[tuple[float, str]] = []
        self.moments: list[float] = []
        self.requests: list[bytes] = []
        self.life = 0.0

    async def sign(
        self,
        csr_pem: bytes,
        endpoints: Sequence[Endpoint],
        *,
        identity: Identity | None = None,
        token: str | None = None,
    ) -> tuple[str, ...]:
        assert (identity is None) != (token is None)
        self.calls.append((round(self.clock.passed), token or "certificate"))
        self.moments.append(self.clock.passed)
        self.requests.append(csr_pem)
        if not self.script:
            raise Enough
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        self.life = step
        return "leaf", "intermediate", "root"


class Worker:
    """Reads what the signer made."""

    def __init__(self, signer: Signer, spiffe_id: str) -> None:
        self.signer, self.spiffe_id = signer, spiffe_id

    async def new_request(self, spiffe_id: str) -> tuple[bytes, bytes]:
        number = len(self.signer.requests)
        return b"key %d" % number, b"csr %d" % number

    async def read(self, key_pem: bytes, chain_pem: bytes) -> CertificateDetails:
        now = self.signer.clock.now()
        return CertificateDetails(
            self.spiffe_id,
            "1",
            now - timedelta(minutes=2),
            now + timedelta(seconds=self.signer.life),
        )


class Store:
    """Keeps in memory."""

    def __init__(self, kept: Identity | None = None) -> None:
        self.kept = kept

    def load(self) -> Identity | None:
        return self.kept

    def save(self, *args: object) -> Identity:
        details, received, key, chain, root = args
        self.kept = Identity(
            cast(CertificateDetails, details),
            cast(datetime, received),
            Path("set"),
            cast(bytes, key),
            cast(bytes, chain),
            cast(bytes, root),
        )
        return self.kept


class Case:
    def __init__(
        self,
        tmp_path: Path,
        script: Sequence[float | Exception],
        *,
        kept: Identity | None = None,
        issued_to: str = str(ME),
        jitter: float = 0.0,
    ) -> None:
        self.clock = StepClock()
        self.signer = Signer(self.clock, script)
        self.token = tmp_path / "token"
        self.store = Store(kept)

        @contextlib.asynccontextmanager
        async def worker() -> AsyncIterator[KeyWorker]:
            yield cast(KeyWorker, Worker(self.signer, issued_to))

        self.service = IdentityService(
            ME,
            IdentitySettings(token=self.token),
            [Endpoint("control", 15012)],
            store=cast(IdentityStore, self.store),
            signer=self.signer,
            worker=worker,
            clock=self.clock,
            uniform=lambda low, high: jitter,
        )

    async def run(self) -> None:
        self.service.load()
        with pytest.raises(Enough):
            await self.service.run()


def kept(*, ends: float, spiffe_id: str = str(ME), received: float = 0.0) -> Identity:
    details = CertificateDetails(
        spiffe_id, "0", START - timedelta(days=1), START + timedelta(seconds=ends)
    )
    return Identity(details, START + timedelta(seconds=received), Path("old"), b"k", b"c", b"r")


def unavailable() -> SigningError:
    return SigningError("control plane control:15012: cannot be reached", refused=False)


def refused() -> SigningError:
    return SigningError("control plane control:15012: UNAUTHENTICATED", refused=True)


async def test_the_token_is_used_once_then_the_certificate_renews_itself(tmp_path: Path) -> None:
    case = Case(tmp_path, [HOUR, HOUR, HOUR])
    case.token.write_text("secret\n")
    changes: list[float] = []
    case.service.subscribe(lambda: changes.append(round(case.clock.passed)))
    await case.run()
    assert case.signer.calls == [
        (0, "secret"),
        (1800, "certificate"),
        (3600, "certificate"),
        (5400, "certificate"),
    ]
    assert changes == [0, 1800, 3600]
    assert not case.token.exists()
    assert case.store.kept
    assert case.store.kept.chain_pem == b"leaf\nintermediate\n"
    assert case.store.kept.root_pem == b"root\n"


async def test_jitter_moves_the_renewal(tmp_path: Path) -> None:
    case = Case(tmp_path, [HOUR], jitter=-0.1)
    case.token.write_text("secret")
    await case.run()
    assert case.signer.calls[1] == (1440, "certificate")


async def test_a_certificate_on_disk_serves_at_once_and_needs_no_token(tmp_path: Path) -> None:
    case = Case(tmp_path, [], kept=kept(ends=HOUR))
    case.service.load()
    assert case.service.valid is not None
    assert case.service.status().state is IdentityState.VALID
    await case.run()
    assert case.signer.calls == [(1800, "certificate")]


async def test_a_certificate_of_another_workload_is_not_used(tmp_path: Path) -> None:
    case = Case(tmp_path, [], kept=kept(ends=HOUR, spiffe_id="spiffe://cluster.local/ns/a/sa/b"))
    case.service.load()
    assert case.service.current is None
    status = case.service.status()
    assert status.state is IdentityState.NONE
    assert status.needs_token
    assert "spiffe://cluster.local/ns/a/sa/b" in str(status.last_error)
    assert str(ME) in str(status.last_error)


async def test_a_key_that_cannot_be_read_is_named_until_it_is_put_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, [])
    loads = 0

    def load() -> Identity:
        nonlocal loads
        loads += 1
        if loads < 4:
            raise IdentityError("key.pem: cannot be read: Permission denied")
        said.append(str(case.service.status().last_error))
        return kept(ends=HOUR)

    said: list[str] = []
    case.store.load = load  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        await case.run()
    assert "key.pem: cannot be read: Permission denied; no join token" in said[0]
    assert case.service.status().last_error != said[0]
    assert [call[1] for call in case.signer.calls] == ["certificate"]
    assert caplog.text.count("no join token") == 1


async def test_an_outage_is_ridden_out_with_growing_waits(tmp_path: Path) -> None:
    case = Case(tmp_path, [unavailable() for _ in range(12)] + [HOUR], kept=kept(ends=HOUR))
    await case.run()
    times = [when for when, _ in case.signer.calls]
    assert {proof for _, proof in case.signer.calls} == {"certificate"}
    gaps = [b - a for a, b in itertools.pairwise(times[:-1])]
    assert times[0] == 1800
    assert max(gaps) <= 30
    assert gaps[-1] >= 15
    assert case.service.status().last_error is None


async def test_a_control_plane_with_too_much_to_do_is_left_alone_for_longer(
    tmp_path: Path,
) -> None:
    busy = SigningError("answered RESOURCE_EXHAUSTED", refused=False, exhausted=True)
    for error, longest in ((unavailable(), 0.2), (busy, 1.0)):
        case = Case(tmp_path, [error, HOUR])
        case.token.write_text("t")
        await case.run()
        began, again = case.signer.moments[:2]
        assert longest / 2 <= again - began <= longest


async def test_stranded_is_said_plainly_and_a_new_token_helps_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, [HOUR], kept=kept(ends=-60, received=-3600))
    sleep, told = case.clock.sleep, []

    async def deliver(seconds: float) -> None:
        await sleep(seconds)
        if case.clock.passed > 600 and not told:
            told.append(case.service.status())
            case.token.write_text("fresh")

    case.clock.sleep = deliver  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        await case.run()
    (status,) = told
    assert status.state is IdentityState.EXPIRED
    assert status.needs_token
    assert "the certificate ended at 2029-12-31 23:59:00" in str(status.last_error)
    assert "deliver one with site.yml or rejoin.yml" in str(status.last_error)
    assert case.service.seconds_left() is not None
    assert len(caplog.records) == 1  # once, not with every look
    when, proof = case.signer.calls[0]
    assert proof == "fresh"
    assert when <= 602
    assert not case.service.status().needs_token


async def test_a_refused_certificate_gives_way_to_a_token(tmp_path: Path) -> None:
    case = Case(tmp_path, [refused(), HOUR], kept=kept(ends=HOUR, received=-3600))
    case.token.write_text("new authority")
    await case.run()
    assert [proof for _, proof in case.signer.calls[:2]] == ["certificate", "new authority"]
    assert not case.token.exists()


async def test_a_refused_token_is_kept_and_another_one_is_needed(tmp_path: Path) -> None:
    case = Case(tmp_path, [refused()])
    case.token.write_text("bad")
    await case.run()
    assert case.token.exists()
    status = case.service.status()
    assert status.needs_token
    assert status.state is IdentityState.NONE
    assert "UNAUTHENTICATED" in str(status.last_error)


async def test_a_token_of_another_workload_is_named(tmp_path: Path) -> None:
    case = Case(tmp_path, [HOUR], issued_to="spiffe://cluster.local/ns/shop/sa/web")
    case.token.write_text("web's")
    sleep = case.clock.sleep

    async def stop(seconds: float) -> None:
        await sleep(seconds)
        raise Enough

    case.clock.sleep = stop  # type: ignore[method-assign]
    await case.run()
    error = str(case.service.status().last_error)
    assert "takes this host for spiffe://cluster.local/ns/shop/sa/web" in error
    assert f"configured as {ME}" in error
    assert case.store.kept is None


async def test_a_clock_that_is_behind_is_the_problem_not_the_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = Case(tmp_path, [])
    begin = START + timedelta(minutes=10)
    details = CertificateDetails(str(ME), "0", begin, begin + timedelta(hours=1))
    case.store.kept = Identity(details, START, Path("old"), b"k", b"c", b"r")
    with caplog.at_level(logging.ERROR):
        case.service.load()
    status = case.service.status()
    expected = "begins at 2030-01-01 00:10:00 UTC, but it is 2030-01-01 00:00:00 UTC on this host"
    assert expected in str(status.last_error)
    assert expected in caplog.text
    assert (status.state, status.needs_token) == (IdentityState.NONE, False)
    assert case.service.valid is None
    case.clock.passed = 601
    status = case.service.status()
    assert (status.state, status.last_error) == (IdentityState.VALID, None)


async def test_an_unreadable_token_is_named(tmp_path: Path) -> None:
    case = Case(tmp_path, [])
    case.token.write_bytes(b"\xff")
    sleep = case.clock.sleep

    async def stop(seconds: float) -> None:
        await sleep(seconds)
        raise Enough

    case.clock.sleep = stop  # type: ignore[method-assign]
    await case.run()
    assert "the join token cannot be read" in str(case.service.status().last_error)
    assert case.signer.calls == []


async def test_who_has_heard_enough_is_not_told(tmp_path: Path) -> None:
    case = Case(tmp_path, [HOUR])
    case.token.write_text("secret")
    heard: list[int] = []
    case.service.subscribe(lambda: heard.append(1))()
    await case.run()
    assert heard == []


async def test_a_lost_reply_is_asked_for_with_the_same_key(tmp_path: Path) -> None:
    lost = SigningError("control plane control:15012 does not answer", refused=False)
    case = Case(tmp_path, [lost, lost, HOUR])
    case.token.write_text("token")
    await case.run()
    # The token is spent for the first key; the renewal has one of its own.
    assert case.signer.requests == [b"csr 0", b"csr 0", b"csr 0", b"csr 3"]
    assert case.store.kept is not None
    assert case.store.kept.key_pem == b"key 0"
