# SPDX-License-Identifier: Apache-2.0
"""The streams that are open: to push to them, and to show them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mesh_control.ads.exchange import Exchange
from mesh_control.ads.resources import EMPTY, Configuration
from mesh_control.model import Proxy
from mesh_core.identity import SpiffeId
from mesh_core.wire import types


@dataclass(slots=True, eq=False)
class Session:
    """One open stream of one proxy. ``address`` is the peer's, ``group`` its WorkloadGroup."""

    connection: str  # unique among all streams since the start
    proxy: Proxy
    identity: SpiffeId
    address: str
    group: str
    since: datetime
    exchange: Exchange
    problem: str = ""  # why its configuration could not be made; empty: it could
    changed_at: float | None = None  # monotonic, of the first change that is not answered yet
    configuration: Configuration = EMPTY  # the last one that was made for it
    stale: bool = True
    ended: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """There may be something to answer. Many calls count as one, so nothing piles up."""
        self._wake.set()

    def refresh(self, changed_at: float) -> None:
        """The mesh has changed: a new configuration is needed."""
        self.stale = True
        if self.changed_at is None:
            self.changed_at = changed_at
        self.wake()

    def end(self) -> None:
        """Have the stream closed."""
        self.ended = True
        self.wake()

    async def woken(self) -> None:
        """Wait until there may be something to answer."""
        await self._wake.wait()
        self._wake.clear()

    def status(self) -> dict[str, Any]:
        """Describe the stream for the status page (plain data)."""
        return {
            "id": self.proxy.id,
            "name": self.proxy.name,
            "namespace": self.proxy.namespace,
            "kind": self.proxy.kind,
            "identity": str(self.identity),
            "address": self.address,
            "group": self.group or None,
            "network": self.proxy.network,
            "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}",
            "problem": self.problem or None,
            "types": {
                types.short(type_url): {
                    "sent": known.sent,
                    "acked": known.acked,
                    "nacked": [
                        {"resource": rejection.resource, "message": rejection.message}
                        for rejection in known.refused.values()
                    ],
                }
                for type_url, known in self.exchange.acknowledgements.items()
            },
        }


class Sessions:
    """All open streams. ``none`` is set while there are none."""

    def __init__(self) -> None:
        self._open: dict[Session, None] = {}
        self.none = asyncio.Event()
        self.none.set()

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def add(self, session: Session) -> None:
        """Note an opened stream."""
        self._open[session] = None
        self.none.clear()

    def remove(self, session: Session) -> bool:
        """Note a closed stream; whether it was its proxy's last one."""
        self._open.pop(session, None)
        if not self._open:
            self.none.set()
        return all(other.proxy.id != session.proxy.id for other in self._open)
