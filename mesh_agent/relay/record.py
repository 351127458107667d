# SPDX-License-Identifier: Apache-2.0
"""What is told of the relay: its connection, what Envoy refuses, counters."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mesh_core.clock import Clock
from mesh_core.wire import types

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ControlPlaneStatus:
    """``source`` is where Envoy's configuration is from; ``since`` when that began."""

    connected: bool
    address: str | None
    since: datetime | None
    source: Literal["live", "cache", "none"]
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource that Envoy does not accept; an empty name if Envoy's message gives none."""

    type_url: str
    resource: str
    message: str


@dataclass(slots=True)
class Counts:
    """Since the agent started, by resource type where that makes sense."""

    requests: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    connection_failures: int = 0
    connections: int = 0
    served_from_cache: int = 0


class Record:
    """Written by the sessions, read by status and metrics."""

    def __init__(self, clock: Clock) -> None:
        self.counts = Counts()
        self._clock = clock
        self._status = ControlPlaneStatus(False, None, None, "none", None)
        self._refusals: dict[tuple[str, str], Refusal] = {}

    @property
    def status(self) -> ControlPlaneStatus:
        """The connection as it is now."""
        return self._status

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What Envoy refuses now."""
        return tuple(self._refusals.values())

    def connected(self, address: str) -> None:
        """The control plane at ``address`` answers."""
        if self._status.address != address:
            log.info("configuration comes from the control plane %s", address)
            self.counts.connections += 1
            self._status = ControlPlaneStatus(True, address, self._clock.now(), "live", None)

    def lost(self, reason: str, *, cached: bool) -> None:
        """There is no control plane; ``cached``: Envoy has or gets its last configuration."""
        if self._status.connected or reason != self._status.last_error:
            log.warning("%s", reason)
        self.counts.connection_failures += 1
        source: Literal["cache", "none"] = "cache" if cached else "none"
        since = self._status.since if self._status.source == source else self._clock.now()
        self._status = ControlPlaneStatus(False, None, since, source, reason)

    def envoy_gone(self) -> None:
        """Envoy's stream ended, and with it the one to the control plane.

        What it refused it will judge again when it is back.
        """
        self._refusals.clear()
        self._status = ControlPlaneStatus(False, None, self._clock.now(), "none", None)

    def accepted(self, type_url: str, names: Iterable[str]) -> None:
        """Envoy accepted an update with these resources."""
        for name in (*names, ""):
            self._refusals.pop((type_url, name), None)

    def refused(self, type_url: str, names: Iterable[str], message: str) -> tuple[str, ...]:
        """Envoy refused an update with these resources; return those that its message is about."""
        self.counts.refusals[types.short(type_url)] += 1
        found = blamed(tuple(names), message)
        for name in found:
            log.error("Envoy refuses %s %s: %s", types.short(type_url), name or "?", message)
            self._refusals[type_url, name] = Refusal(type_url, name, message)
        return found


def blamed(names: tuple[str, ...], message: str) -> tuple[str, ...]:
    """Return those of an update's names that Envoy's message is about; ("",) if it names none."""
    if len(names) == 1:
        return names
    alone = r"(?:^|[\s,(']){}(?=$|[\s,:)'])"  # not as the beginning of a longer name
    named = tuple(name for name in names if re.search(alone.format(re.escape(name)), message))
    return named or ("",)
