# SPDX-License-Identifier: Apache-2.0
"""Which join tokens were used: a file that is appended to before a certificate leaves.

A token is bound to the first key that it was used for. The same host may so repeat its request
when the answer was lost (same key in the request), while the token is worth nothing to anybody
who has not that key. One JSON object per line: ``{"id", "expires", "key"}``; expires in seconds
since 1970, key a hash of the request's public key.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from mesh_control.ca.caller import AuthenticationError
from mesh_control.ca.tokens import Claims
from mesh_core.clock import Clock
from mesh_core.errors import MeshError
from mesh_core.files import write_atomic

# The file is written anew when this many of its lines have expired.
_PRUNE_AT = 1000


@dataclass(frozen=True, slots=True)
class _Use:
    id: str
    expires: float
    key: str


class SpentTokens:
    """The used tokens that have not expired. Safe for concurrent callers on one loop."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = asyncio.Lock()
        self._uses: dict[str, _Use] = {}
        self._lines = 0
        self._whole = False

    @classmethod
    def open(cls, path: Path, clock: Clock) -> SpentTokens:
        """Read the file, which need not be there; MeshError when it cannot be read or written."""
        spent = cls(path, clock)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            spent._read()
            spent._rewrite()
        except OSError as error:
            raise MeshError(f"{path}: cannot be read and written: {error.strerror}") from error
        return spent

    async def spend(self, claims: Claims, key: str) -> None:
        """Record that the token was used for ``key``; on disk when this returns.

        AuthenticationError when it was used for another key before; OSError when the record
        cannot be written (the token is then not used).
        """
        async with self._lock:
            known = self._uses.get(claims.id)
            if known and known.key == key:
                return
            if known:
                raise AuthenticationError(
                    "token was used already, for another key: it is good for one host"
                )
            use = _Use(claims.id, claims.expires.timestamp(), key)
            await asyncio.to_thread(self._record, use)
            self._uses[use.id] = use

    def _record(self, use: _Use) -> None:
        if not self._whole or self._lines - self._current() >= _PRUNE_AT:
            self._rewrite()
        # Until the line is whole on disk, the next one must not be put behind it.
        self._whole = False
        with self._path.open("ab") as stream:
            stream.write(_line(use))
            stream.flush()
            os.fsync(stream.fileno())
        self._lines += 1
        self._whole = True

    def _current(self) -> int:
        now = self._clock.now().timestamp()
        return sum(use.expires > now for use in self._uses.values())

    def _read(self) -> None:
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        for line in lines:
            try:
                data = json.loads(line)
                use = _Use(str(data["id"]), float(data["expires"]), str(data["key"]))
            except (ValueError, KeyError, TypeError):
                # Cut off by a crash: its certificate never left.
                continue
            self._uses[use.id] = use

    def _rewrite(self) -> None:
        now = self._clock.now().timestamp()
        current = {use.id: use for use in self._uses.values() if use.expires > now}
        write_atomic(self._path, b"".join(map(_line, current.values())), 0o600)
        self._uses = current
        self._lines = len(current)
        self._whole = True


def _line(use: _Use) -> bytes:
    return json.dumps(asdict(use)).encode() + b"\n"
