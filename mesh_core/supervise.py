# SPDX-License-Identifier: Apache-2.0
"""Long-lived tasks: restarted with back-off, stopped for sure, and their ends are never silent."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from mesh_core.clock import Clock
from mesh_core.errors import MeshError

log = logging.getLogger(__name__)

HEALTHY_AFTER_SECONDS = 60.0


def backoff(first: float = 0.2, maximum: float = 30.0, *, spread: float = 0.5) -> Iterator[float]:
    """Yield waits in seconds, doubling up to ``maximum``; each is cut by a random ``spread``."""
    wait = first
    while True:
        yield wait * (1 - spread * random.random())  # noqa: S311 - jitter, not a secret
        wait = min(maximum, wait * 2)


async def supervise(
    name: str,
    factory: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    first: float = 0.2,
    maximum: float = 30.0,
) -> None:
    """Run ``factory()`` for ever; wait longer after each failure, shortly after a long good run.

    Only cancellation ends it. An expected failure (MeshError, OSError) is one line in the log, any
    other one has its traceback.
    """
    waits = backoff(first, maximum)
    while True:
        began = clock.monotonic()
        try:
            await factory()
            log.warning("%s ended, starting it again", name)
        except (MeshError, OSError) as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)
        if clock.monotonic() - began > HEALTHY_AFTER_SECONDS:
            waits = backoff(first, maximum)
        await clock.sleep(next(waits))


async def stop(tasks: Sequence[asyncio.Task[Any]], *, every: float = 0.1) -> None:
    """Cancel ``tasks`` and wait for their ends, whatever these are.

    They are cancelled again every ``every`` seconds: a cancellation is lost when a library wakes
    its task up in the same moment, by a cancellation that it turns into an error. Who waits for
    tasks that stop others in turn gives them more time.
    """
    rest = set(tasks)
    while rest:
        for task in rest:
            task.cancel()
        _unused, rest = await asyncio.wait(rest, timeout=every)
    await asyncio.gather(*tasks, return_exceptions=True)
