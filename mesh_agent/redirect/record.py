# SPDX-License-Identifier: Apache-2.0
"""What was applied and how it was found last: a small file below /run.

It is there as long as redirection is wanted, so what the dead-man timer or an operator took away
is not put back by a later check. Everyone may read it: the agent, which may not ask nftables,
tells of it in its status.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh_core.files import write_atomic

RUN_DIRECTORY: Final = Path("/run/hybrid-mesh")
_FILE: Final = "redirect.json"


@dataclass(frozen=True, slots=True)
class Record:
    """``plan`` is the fingerprint, ``rules`` the table as nft listed it then, ``applied_at`` a
    time (ISO 8601), ``drift`` what the last check found."""

    plan: str
    rules: tuple[str, ...]
    applied_at: str
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RedirectStatus:
    """For the agent's status: whether redirection is applied, and what was wrong last."""

    applied: bool
    drift: tuple[str, ...]


class RecordFile:
    """The file; a part of it that cannot be read is as good as none."""

    def __init__(self, directory: Path = RUN_DIRECTORY) -> None:
        """``directory`` is made when something is written."""
        self.directory = directory
        self._path = directory / _FILE

    def read(self) -> Record | None:
        """Return what was written, or None."""
        try:
            data = json.loads(self._path.read_bytes())
            return Record(
                str(data["plan"]),
                tuple(map(str, data["rules"])),
                str(data["applied_at"]),
                tuple(map(str, data["drift"])),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, record: Record) -> None:
        """Replace it."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_atomic(self._path, json.dumps(dataclasses.asdict(record), indent=1) + "\n")

    def remove(self) -> None:
        """Take it away."""
        self._path.unlink(missing_ok=True)


def read_status(directory: Path = RUN_DIRECTORY) -> RedirectStatus:
    """Return what a process without rights can tell of redirection."""
    record = RecordFile(directory).read()
    return RedirectStatus(record is not None, record.drift if record else ())
