# SPDX-License-Identifier: Apache-2.0
"""From the results of probes to reports: thresholds as a state machine (pure)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What the control plane is told. ``message`` says why a workload is not healthy."""

    healthy: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class ProbeState:
    """What is known after some probes. ``healthy`` is None as long as nothing is certain.

    ``run`` results in a row were as ``last`` says.
    """

    success_threshold: int
    failure_threshold: int
    healthy: bool | None = None
    last: bool | None = None
    run: int = 0

    def after(self, problem: str | None) -> tuple[ProbeState, HealthReport | None]:
        """Return the state after one more result, and the report that it makes necessary.

        ``problem`` is None for a success, else what went wrong. The first certainty is reported,
        then only changes.
        """
        success = problem is None
        run = self.run + 1 if success is self.last else 1
        threshold = self.success_threshold if success else self.failure_threshold
        state = dataclasses.replace(self, last=success, run=run)
        if run < threshold or success is self.healthy:
            return state, None
        return dataclasses.replace(state, healthy=success), HealthReport(success, problem or "")
