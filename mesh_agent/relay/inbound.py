# SPDX-License-Identifier: Apache-2.0
"""Inbound clusters that a control plane forgot.

Istiod may look for the Services that select a new host a moment before it knows the host's
WorkloadEntry, logs ``no instances found``, and looks again only with the next full push. Until
then what the host serves takes the passthrough chains. A new stream makes it look at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Any, Final

from mesh_core.clock import Clock

log = logging.getLogger(__name__)

# Before each further stream. Then it is taken that no Service selects the host.
WAITS: Final = (1.0, 4.0, 16.0)
_PREFIX: Final = "inbound|"
_SAID_BY_SERVERS: Final = frozenset({"AUTO_REGISTER_GROUP", "POD_PORTS"})


class Inbound:
    """Watches the clusters that upstream streams begin with, in either form of the messages.

    It counts over all of them: who never gets one is not asked about again, who got one is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected = False
        self._begins = False
        self._tries = 0
        self._missing = asyncio.Event()

    def meet(self, node: Any) -> None:
        """Learn from Envoy's node whether to expect any: a host that registers itself, and serves.

        A gateway serves by listeners alone.
        """
        serves = node.metadata.fields.keys() >= _SAID_BY_SERVERS
        self._expected = serves and node.id.startswith("sidecar~")

    def begin(self) -> None:
        """Another upstream stream begins."""
        self._begins = True
        self._missing.clear()

    def hear(self, clusters: Iterable[str]) -> None:
        """Note the names of all clusters after a response; of a stream's first one none is enough.

        Later on one that has gone is gone for a reason.
        """
        first, self._begins = self._begins, False
        if any(name.startswith(_PREFIX) for name in clusters):
            self._tries = 0
            self._missing.clear()
        elif first and self._expected:
            if self._tries < len(WAITS):
                self._missing.set()
            else:
                log.info("no inbound cluster for this host's ports: no Service seems to select it")

    async def overdue(self) -> None:
        """Return when it is time for another stream; if that is never, never."""
        while True:
            await self._missing.wait()
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
            await self._clock.sleep(WAITS[self._tries] * jitter)
            if self._missing.is_set():
                break
        self._tries += 1
        self._missing.clear()
        log.info("no inbound cluster yet: asking again (%d of %d)", self._tries, len(WAITS))
