# SPDX-License-Identifier: Apache-2.0
"""The last good name table on disk, so that names resolve after a reboot without control plane."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Final

from mesh_core.clock import Clock
from mesh_core.files import write_atomic

log = logging.getLogger(__name__)

_FILE: Final = "name-table.bin"
_AT_MOST_EVERY_SECONDS: Final = 1.0


class NameStore:
    """Keeps the raw bytes of one NameTable message in a directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        """``directory`` is made when it is not there."""
        self._path = directory / _FILE
        self._clock = clock
        self._saved: bytes | None = None
        self._latest: bytes | None = None
        self._changed = asyncio.Event()
        self._writing = threading.Lock()

    def load(self) -> bytes | None:
        """Return what was kept, or None."""
        try:
            self._saved = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read: %s", self._path, error.strerror)
            return None
        return self._saved

    def keep(self, table: bytes) -> None:
        """Have ``table`` written soon, by ``run``."""
        self._latest = table
        self._changed.set()

    async def run(self) -> None:
        """Write what is new, at most once a second, without holding up the loop."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await asyncio.to_thread(self.flush)
            await self._clock.sleep(_AT_MOST_EVERY_SECONDS)

    def flush(self) -> None:
        """Write what is new, now, or wait until that is done.

        A full disk is logged: the table serves from memory.
        """
        with self._writing:
            self._flush()

    def _flush(self) -> None:
        table = self._latest
        if table is None or table == self._saved:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self._path, table, mode=0o600)
            self._saved = table
        except OSError as error:
            log.warning("%s was not written: %s", self._path, error.strerror)
