# SPDX-License-Identifier: Apache-2.0
"""How long to wait before the control plane is called again."""

from __future__ import annotations

import random
from typing import Final

_FIRST: Final = 0.2
# Whoever is told that there are too many comes back after more than a moment.
_FIRST_IF_EXHAUSTED: Final = 1.0


class Patience:
    """Waits in seconds, doubling up to ``longest``; each is cut by up to a half, so that hosts that
    failed together do not come back together."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._wait = 0.0

    def next(self, *, exhausted: bool) -> float:
        """Return the next wait; ``exhausted``: the control plane answered RESOURCE_EXHAUSTED."""
        first = _FIRST_IF_EXHAUSTED if exhausted else _FIRST
        self._wait = min(self._longest, max(first, 2 * self._wait))
        return self._wait * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Begin anew, after a success."""
        self._wait = 0.0
