# SPDX-License-Identifier: Apache-2.0
"""Time that passes when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest


class FakeClock:
    """Sleeping takes no time; ``on_sleep`` is called after each sleep, as things happen then."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.pass_time(seconds)
        self.on_sleep()

    def pass_time(self, seconds: float) -> None:
        self.elapsed += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
