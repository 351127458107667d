# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The proof log: one JSON line of the proxy for each call that crossed the mesh."""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import unquote

from .attempt import Attempt
from .x509 import Certificate, read_pem

#: Seconds by which the proxy's start time may lie outside of the call: its clock reading is
#: rounded to milliseconds.
_ROUNDING = 0.002
_PAUSE = 0.1


@dataclass(frozen=True)
class Evidence:
    """What the caller's proxy says about one call; empty strings for what it did not see."""

    port: int
    began: float
    upstream: str
    cluster: str
    peers: tuple[str, ...]
    serial: str
    not_after: str
    tls: str
    flags: tuple[str, ...]
    failure: str

    @property
    def mutual_tls(self) -> bool:
        """The peer showed a SPIFFE identity over TLS."""
        return bool(self.tls) and any(peer.startswith("spiffe://") for peer in self.peers)


#: What the caller saw, and what its proxy says about it.
Witnessed = t.Tuple[Attempt, t.Optional[Evidence]]


def parse_line(line: str) -> Evidence | None:
    """None for a line that is no evidence: not JSON, no client port, no time."""
    try:
        fields = json.loads(line)
        port = int(_text(fields, "downstream_remote_address").rpartition(":")[2])
        began = _epoch(_text(fields, "start_time"))
    except (ValueError, AttributeError):
        return None
    certificate = _certificate(_text(fields, "upstream_peer_cert"))
    return Evidence(
        port=port,
        began=began,
        upstream=_text(fields, "upstream_host"),
        cluster=_text(fields, "upstream_cluster"),
        peers=tuple(_list(fields, "upstream_peer_uri_san")),
        serial=certificate.serial if certificate else "",
        not_after=certificate.not_after if certificate else "",
        tls=_text(fields, "upstream_tls_version"),
        flags=tuple(_list(fields, "response_flags")),
        failure=_text(fields, "upstream_transport_failure_reason"),
    )


def matching(attempt: Attempt, lines: t.Iterable[Evidence]) -> Evidence | None:
    """The line of this very call: its source port, and a start within its time.

    Two different lines that fit are none: another program used the same port in that moment.
    """
    if attempt.port is None:
        return None
    earliest, latest = attempt.began - _ROUNDING, attempt.ended + _ROUNDING
    found = {
        line for line in lines if line.port == attempt.port and earliest <= line.began <= latest
    }
    return found.pop() if len(found) == 1 else None


class ProofLog:
    """Follows the log from the moment of its creation on, through a rotation if one happens.

    A host outside of the mesh has no log. OSError: it is there, but may not be read.
    """

    def __init__(
        self,
        path: Path,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._clock = clock
        self._sleep = sleep
        self._file, self._offset = self._position()

    def collect(self, attempts: t.Sequence[Attempt], seconds: float) -> list[Witnessed]:
        """Each attempt with its evidence, or with None where none came within the seconds."""
        end = self._clock() + seconds
        while True:
            lines = self._read()
            found = [(attempt, matching(attempt, lines)) for attempt in attempts]
            complete = all(evidence for attempt, evidence in found if attempt.port)
            if complete or not self._path.exists() or self._clock() >= end:
                return found
            self._sleep(_PAUSE)

    def _position(self) -> tuple[int, int]:
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as log:
            status = os.fstat(log.fileno())
            return status.st_ino, status.st_size
        return 0, 0

    def _read(self) -> list[Evidence]:
        """All evidence since the creation of this object."""
        file, size = self._position()
        offset = self._offset if file == self._file and size >= self._offset else 0
        try:
            with self._path.open("rb") as log:
                log.seek(offset)
                text = log.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        complete = text.rpartition("\n")[0]
        parsed = (parse_line(line) for line in complete.split("\n"))
        return [evidence for evidence in parsed if evidence]


def _text(fields: t.Any, key: str) -> str:
    """Envoy writes null, or a hyphen, for what it does not know."""
    value = fields.get(key)
    return "" if value is None or value == "-" else str(value)


def _list(fields: t.Any, key: str) -> list[str]:
    return [part.strip() for part in _text(fields, key).split(",") if part.strip()]


def _epoch(text: str) -> float:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def _certificate(text: str) -> Certificate | None:
    try:
        return read_pem(unquote(text))
    except ValueError:
        return None
