# SPDX-License-Identifier: Apache-2.0
"""What systemd is told: that the agent is ready, what it does, and that its loop still turns."""

from __future__ import annotations

from collections.abc import Callable

from mesh_core import systemd
from mesh_core.clock import Clock

_SECONDS = 5.0


async def tell(summary: Callable[[], str], clock: Clock) -> None:
    """Notify for ever: READY=1 now, STATUS= whenever ``summary`` says something new.

    WATCHDOG=1 comes three times in the unit's WatchdogSec: an agent whose loop hangs is restarted.
    """
    watchdog = systemd.watchdog_seconds()
    wait = min(watchdog / 3, _SECONDS) if watchdog else _SECONDS
    systemd.notify("READY=1")
    said = ""
    while True:
        text = summary()
        if text != said:
            systemd.notify(f"STATUS={text}")
            said = text
        if watchdog:
            systemd.notify("WATCHDOG=1")
        await clock.sleep(wait)
