# SPDX-License-Identifier: Apache-2.0
"""One line for each step, with the time that it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """A line of progress."""
    sys.stdout.write(f"lab: {text}\n")
    sys.stdout.flush()


@contextmanager
def step(text: str) -> Iterator[None]:
    """Says what begins, and afterwards how long it took or that it failed."""
    sys.stdout.write(f"lab: {text} ... ")
    sys.stdout.flush()
    start = time.monotonic()
    verdict = "failed after"
    try:
        yield
        verdict = "done in"
    finally:
        sys.stdout.write(f"{verdict} {time.monotonic() - start:.1f} s\n")
        sys.stdout.flush()
