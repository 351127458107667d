# SPDX-License-Identifier: Apache-2.0
"""Changes gathered for a moment, so that a hundred hosts that join make one push."""

from __future__ import annotations

import asyncio
from typing import Final

from mesh_core.clock import Clock

QUIET_SECONDS: Final = 0.1
MAXIMUM_SECONDS: Final = 1.0


class Debounce:
    """Ends a wait after ``quiet`` seconds without a change, at most ``maximum`` after the first."""

    def __init__(
        self, clock: Clock, quiet: float = QUIET_SECONDS, maximum: float = MAXIMUM_SECONDS
    ) -> None:
        self._clock = clock
        self._quiet = quiet
        self._maximum = maximum
        self._changed = asyncio.Event()
        self._last = 0.0

    def changed(self) -> None:
        """Note a change."""
        self._last = self._clock.monotonic()
        self._changed.set()

    async def settled(self) -> float:
        """Wait for changes to come and to end; return the time of the first (monotonic)."""
        await self._changed.wait()
        first = self._last
        while True:
            until = min(self._last + self._quiet, first + self._maximum)
            left = until - self._clock.monotonic()
            if left <= 0:
                self._changed.clear()
                return first
            await self._clock.sleep(left)
