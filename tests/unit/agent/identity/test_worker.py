# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from mesh_agent.ahead import start_key_worker
from mesh_agent.identity import keys
from mesh_agent.identity.keys import open_worker
from mesh_agent.identity.model import IdentityError
from mesh_agent.identity.worker import answer
from mesh_core import pki
from mesh_core.apart import Apart

URI = "spiffe://cluster.local/ns/shop/sa/api"


async def test_a_request_is_signed_and_its_certificate_read(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path, "cluster.local")
    async with open_worker() as worker:
        key, csr = await worker.new_request(URI)
        chain = authority.issue(csr, uris=[URI], lifetime=timedelta(hours=1))
        details = await worker.read(key, chain[0].encode())
        assert details.spiffe_id == URI
        assert details.not_after - details.not_before == timedelta(hours=1) + pki.CLOCK_SKEW
        with pytest.raises(IdentityError, match="not for the private key"):
            await worker.read(pki.new_key(), chain[0].encode())
        with pytest.raises(IdentityError, match="expected one SPIFFE id"):
            nameless = authority.issue(csr, dns=["x"], lifetime=timedelta(hours=1))
            await worker.read(key, nameless[0].encode())


def test_nonsense_is_answered_with_an_error() -> None:
    assert "error" in answer({"do": "read", "key": "", "chain": ""})


async def test_one_that_waits_is_taken_and_one_that_is_gone_replaced() -> None:
    waiting = start_key_worker()
    async with open_worker(waiting) as worker:
        key, csr = await worker.new_request(URI)
        assert key.startswith(b"-----BEGIN PRIVATE KEY") and b"CERTIFICATE REQUEST" in csr
    assert not waiting.alive
    async with open_worker(waiting) as worker:
        assert (await worker.new_request(URI))[0] != key


async def test_one_that_dies_is_an_error_in_words() -> None:
    waiting = start_key_worker()
    async with open_worker(waiting) as worker:
        await worker.new_request(URI)
        waiting.process.kill()
        with pytest.raises(IdentityError, match="ended before its answer"):
            await worker.new_request(URI)


async def test_one_that_hangs_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SECONDS", 0.1)
    waiting = start_key_worker()
    waiting.process.send_signal(signal.SIGSTOP)
    async with open_worker(waiting) as worker:
        with pytest.raises(IdentityError, match=r"no answer in 0\.1 seconds"):
            await worker.new_request(URI)
    assert not waiting.alive


async def test_none_is_started_before_there_is_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end while the control plane is slow to sign, and be in vain when nobody signs."""
    started: list[Apart] = []

    def start() -> Apart:
        started.append(start_key_worker())
        return started[-1]

    monkeypatch.setattr(keys, "start_key_worker", start)
    async with open_worker() as worker:
        assert started == []
        await worker.new_request(URI)
        await worker.new_request(URI)
    (child,) = started
    assert not child.alive


async def test_a_spare_one_is_ended_when_there_is_no_order_for_it() -> None:
    child = start_key_worker()
    spare = keys.Spare(child, seconds=0.01)
    await asyncio.sleep(0.02)  # of the same loop, so it is over after the other
    assert child.process.returncode is not None  # ended, and buried too
    async with open_worker(spare.take()) as worker:
        assert await worker.new_request(URI)


async def test_a_spare_one_that_was_taken_is_not_ended() -> None:
    child = start_key_worker()
    spare = keys.Spare(child, seconds=0.01)
    assert spare.take() is child
    await asyncio.sleep(0.02)
    assert child.alive
    assert spare.take() is None
    child.end()
