# SPDX-License-Identifier: Apache-2.0
"""What a cluster has to do whatever happens to its nodes, tried over and over beside a change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Self

from lab.errors import LabError


class Watch:
    """Tries each of `checks` again and again until its end; `failures` says what did not work."""

    def __init__(self, checks: Mapping[str, Callable[[], bool]]) -> None:
        self.rounds = 0
        self.failures: list[str] = []
        self._checks = checks
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_reason: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(0.2):
            for name, check in self._checks.items():
                try:
                    if not check():
                        self.failures.append(f"{name}, round {self.rounds}")
                except LabError as error:
                    self.failures.append(f"{name}, round {self.rounds}: {error}")
            self.rounds += 1
