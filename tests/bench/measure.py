# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of a process, and waiting for things to happen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError


@contextmanager
def before_others() -> Iterator[None]:
    """Have this program, and what it starts, run before the machine's other work if that may be.

    A start takes a fraction of a second: else it is that other work which is measured.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional set size in MB (2**20)."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _unused, value = line.partition(":")
        if name in ("Rss", "Pss"):
            found[name] = int(value.split()[0]) / 1024
    return found["Rss"], found["Pss"]


def cpu(pid: int) -> float:
    """Seconds that all threads have run."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def seconds_until(
    what: str,
    began: float,
    happened: Callable[[], object],
    *,
    every: float = 0.001,
    limit: float = 60.0,
) -> float:
    """Seconds from ``began`` (monotonic) until ``happened()``; LabError after ``limit``."""
    while not happened():
        if time.monotonic() - began > limit:
            raise LabError(f"{what}: nothing after {limit:g} s")
        time.sleep(every)
    return time.monotonic() - began
