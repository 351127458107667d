# SPDX-License-Identifier: Apache-2.0
"""Probes the application as long as it runs, and reports changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from mesh_agent.health.probes import Probe, make_probe
from mesh_agent.health.result import Unhealthy
from mesh_agent.health.settings import HealthSettings, ReadinessProbe
from mesh_agent.health.state import HealthReport, ProbeState
from mesh_core.clock import Clock, SystemClock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """``off`` without a probe, ``unknown`` before the first certainty; ``message`` is the last
    probe's problem."""

    state: Literal["off", "unknown", "healthy", "unhealthy"]
    message: str = ""


class HealthService:
    """Calls ``on_change`` with each report."""

    def __init__(
        self,
        settings: HealthSettings,
        addresses: Sequence[str],
        on_change: Callable[[HealthReport], None],
        *,
        proxy_problem: Callable[[], str | None] = lambda: None,
        probe: Probe | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``addresses`` are the workload's.

        ``proxy_problem`` says why Envoy cannot serve yet: without it the workload is not healthy,
        however well the application is. ``probe`` replaces the one that the settings ask for.
        """
        self._settings = settings.probe
        self._on_change = on_change
        self._proxy_problem = proxy_problem
        self._clock = clock or SystemClock()
        self._probe = probe
        self._last: HealthReport | None = None
        self._message = ""
        if settings.probe and probe is None:
            self._probe = make_probe(settings.probe, addresses)

    def status(self) -> HealthStatus:
        """Return what there is to tell."""
        if self._settings is None:
            return HealthStatus("off")
        if self._last is None:
            return HealthStatus("unknown", self._message)
        return HealthStatus("healthy" if self._last.healthy else "unhealthy", self._message)

    async def run(self) -> None:
        """Probe until cancelled. Without a probe there is nothing to do, and no end either."""
        if self._settings is None or self._probe is None:
            await asyncio.get_running_loop().create_future()
            return
        settings = self._settings
        # What was reported still holds when this is run again.
        state = ProbeState(
            settings.success_threshold,
            settings.failure_threshold,
            healthy=self._last.healthy if self._last else None,
        )
        await self._clock.sleep(settings.initial_delay_seconds)
        while True:
            problem = self._proxy_problem() or await self._try(settings, self._probe)
            self._message = problem or ""
            state, report = state.after(problem)
            if report is not None:
                self._report(report)
            await self._clock.sleep(settings.period_seconds)

    async def _try(self, settings: ReadinessProbe, probe: Probe) -> str | None:
        """Return the problem that the probe found, or None."""
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                await probe()
        except TimeoutError:
            return f"no answer within {settings.timeout_seconds:g} s"
        except (Unhealthy, OSError) as error:
            return str(error) or type(error).__name__
        except Exception as error:  # a defect of the probe must not end the reports
            log.exception("health probe")
            return f"{type(error).__name__}: {error}"
        return None

    def _report(self, report: HealthReport) -> None:
        self._last = report
        log.log(
            logging.INFO if report.healthy else logging.WARNING,
            "the application is %s%s",
            "healthy" if report.healthy else "unhealthy: ",
            report.message,
        )
        try:
            self._on_change(report)
        except Exception:
            log.exception("health report")
