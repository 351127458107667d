# SPDX-License-Identifier: Apache-2.0
"""What the agent itself says and hears on Envoy's stream: names and the application's health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mesh_agent.health.state import HealthReport
from mesh_agent.relay.dialect import Dialect
from mesh_core.errors import MeshError
from mesh_core.wire import types


@dataclass(frozen=True, slots=True)
class Companion:
    """``names`` takes a serialized name table (None: DNS is off); ``health`` gives the last report,
    None while there is none."""

    names: Callable[[bytes], None] | None
    health: Callable[[], HealthReport | None]

    def introduction(self, dialect: Dialect) -> list[bytes]:
        """Return what follows Envoy's first request for listeners, as istiod expects it."""
        return [dialect.say(types.NAME_TABLE)] if self.names else []

    def health_report(self, dialect: Dialect) -> bytes | None:
        """Return the request that reports health, None while there is nothing to report.

        It is for an Envoy that has its listeners: peers begin to call when they hear of health.
        """
        report = self.health()
        if report is None:
            return None
        problem = None if report.healthy else report.message or "unhealthy"
        return dialect.say(types.HEALTH_INFORMATION, problem=problem)

    def hear(self, dialect: Dialect, response: Any) -> bytes:
        """Take in a name table and return the answer to it; one without content is fine too."""
        try:
            for table in dialect.packed(response):
                if self.names:
                    self.names(table.value)
        except MeshError as error:
            return dialect.say(types.NAME_TABLE, answers=response, problem=str(error))
        return dialect.say(types.NAME_TABLE, answers=response)
