# SPDX-License-Identifier: Apache-2.0
"""When a session follows the control plane anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from mesh_agent.relay import session
from mesh_agent.relay.inbound import Inbound
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.record import Record
from mesh_core.wire import types
from tests.wire.agent.support.clock import StepClock


async def test_only_a_starting_envoy_has_no_time_for_a_slow_control_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is asked again, for what it forgot, is asked for an Envoy that can wait."""
    first_seconds: list[float] = []
    followed = asyncio.Event()

    async def follow(*_given: object, **given: Any) -> None:
        first_seconds.append(given["first_seconds"])
        if len(first_seconds) == 3:
            followed.set()
        await asyncio.Event().wait()

    async def overdue(_self: Inbound) -> None:
        if len(first_seconds) == 3:
            await asyncio.Event().wait()

    monkeypatch.setattr(session, "follow", follow)
    monkeypatch.setattr(Inbound, "overdue", overdue)
    store = LastGood(tmp_path)
    store.commit(types.CLUSTER, (), ())
    clock = StepClock()
    unused = cast(Any, None)
    serving = session.DeltaSession(unused, unused, store, unused, Record(clock), clock)
    following = asyncio.create_task(serving._follow())
    async with asyncio.timeout(5):
        await followed.wait()
    following.cancel()
    assert first_seconds == [session.FIRST_ANSWER_SECONDS, *[session.PATIENT_SECONDS] * 2]
