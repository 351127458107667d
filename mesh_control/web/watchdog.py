# SPDX-License-Identifier: Apache-2.0
"""systemd's watchdog, fed by proof: this process answers a request, and says that it is well."""

from __future__ import annotations

import logging

from mesh_core.clock import Clock
from mesh_core.http import get
from mesh_core.systemd import notify

log = logging.getLogger(__name__)


async def feed_watchdog(every: float, clock: Clock, host: str, port: int) -> None:
    """Ask ``/healthz`` for ever, every so many seconds, and tell systemd when all is well.

    Raises OSError when there is no answer.
    """
    while True:
        await clock.sleep(every)
        answer = await get("/healthz", host=host, port=port, timeout=every)
        if answer.status == 200:
            notify("WATCHDOG=1")
        else:
            log.error("not healthy: %s", answer.body.decode())
