# SPDX-License-Identifier: Apache-2.0
"""Time that passes when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest


class FakeClock:
    """Sleeping takes no time; ``on_sleep`` is called first, as things happen meanwhile."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.on_sleep: Callable[[float], None] = lambda seconds: None

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.on_sleep(seconds)
        self.elapsed += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
