# SPDX-License-Identifier: Apache-2.0
"""The loop, with a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime

import pytest

from mesh_agent.health.result import Unhealthy
from mesh_agent.health.service import HealthService, HealthStatus
from mesh_agent.health.settings import Exec, HealthSettings, ReadinessProbe
from mesh_agent.health.state import HealthReport


class StepClock:
    """Each sleep lasts until ``step`` lets it end, and is noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._go = asyncio.Semaphore(0)
        self._asleep = asyncio.Semaphore(0)

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.release()
        await self._go.acquire()

    async def step(self) -> None:
        """End the sleep that is under way, or to come, and wait for the next one."""
        self._go.release()
        async with asyncio.timeout(5):
            await self._asleep.acquire()


class Application:
    """Its probe does what the next of ``results`` says; the last one stays."""

    def __init__(self, *results: BaseException | None) -> None:
        self.results = list(results)
        self.probes = 0

    async def __call__(self) -> None:
        self.probes += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if result is not None:
            raise result


PROBE = ReadinessProbe(
    exec=Exec(("true",)), initial_delay_seconds=7, period_seconds=3, failure_threshold=2
)


class Lab:
    def __init__(self, application: Application, **settings: object) -> None:
        self.clock = StepClock()
        self.reports: list[HealthReport] = []
        self.proxy_problem: str | None = None
        probe = dataclasses.replace(PROBE, **settings)  # type: ignore[arg-type]
        self.service = HealthService(
            HealthSettings(probe),
            ["127.0.0.1"],
            self.reports.append,
            proxy_problem=lambda: self.proxy_problem,
            probe=application,
            clock=self.clock,
        )

    async def __aenter__(self) -> Lab:
        self.task = asyncio.create_task(self.service.run())
        async with asyncio.timeout(5):
            await self.clock._asleep.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await self.task


async def test_delay_period_and_reports_on_change() -> None:
    application = Application(None, None, Unhealthy("down"), Unhealthy("still"), None)
    async with Lab(application) as lab:
        assert (lab.clock.slept, application.probes) == ([7], 0)
        assert lab.service.status() == HealthStatus("unknown")
        await lab.clock.step()
        assert lab.reports == [HealthReport(True)]
        await lab.clock.step()
        await lab.clock.step()
        assert lab.reports == [HealthReport(True)]
        assert lab.service.status() == HealthStatus("healthy", "down")
        await lab.clock.step()
        assert lab.reports[1:] == [HealthReport(False, "still")]
        assert lab.service.status() == HealthStatus("unhealthy", "still")
        await lab.clock.step()
        assert lab.reports[2:] == [HealthReport(True)]
        assert lab.clock.slept == [7, 3, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Unhealthy("NOT_SERVING"), "NOT_SERVING"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (ConnectionResetError(), "ConnectionResetError"),
        (ValueError("a defect"), "ValueError: a defect"),
    ],
)
async def test_every_failure_is_a_report_and_not_an_end(problem: Exception, text: str) -> None:
    async with Lab(Application(problem), failure_threshold=1) as lab:
        await lab.clock.step()
        await lab.clock.step()
        assert lab.reports == [HealthReport(False, text)]


async def test_a_probe_that_hangs_fails_in_time() -> None:
    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    async with Lab(hang, failure_threshold=1, timeout_seconds=0.05) as lab:  # type: ignore[arg-type]
        await lab.clock.step()
        assert lab.reports == [HealthReport(False, "no answer within 0.05 s")]


async def test_a_probe_that_hangs_does_not_hold_up_the_end() -> None:
    async def hang() -> None:
        await asyncio.get_running_loop().create_future()

    async with Lab(hang, timeout_seconds=1000) as lab:  # type: ignore[arg-type]
        lab.clock._go.release()
        await asyncio.sleep(0)


async def test_the_end_during_the_first_delay() -> None:
    application = Application(None)
    async with Lab(application, initial_delay_seconds=1e6):
        pass
    assert application.probes == 0


async def test_without_envoy_the_workload_is_not_healthy() -> None:
    application = Application(None)
    async with Lab(application, failure_threshold=1) as lab:
        lab.proxy_problem = "Envoy has no listeners yet"
        await lab.clock.step()
        assert lab.reports == [HealthReport(False, "Envoy has no listeners yet")]
        assert application.probes == 0
        lab.proxy_problem = None
        await lab.clock.step()
        assert lab.reports[1:] == [HealthReport(True)]


async def test_a_listener_that_fails_stops_nothing() -> None:
    def fail(_: HealthReport) -> None:
        raise RuntimeError("no stream")

    async with Lab(Application(None, Unhealthy("x"))) as lab:
        lab.service._on_change = fail
        for _ in range(4):
            await lab.clock.step()
        assert lab.service.status() == HealthStatus("unhealthy", "x")


async def test_run_again_it_reports_only_what_changed() -> None:
    async with Lab(Application(None)) as lab:
        await lab.clock.step()
    async with lab:
        await lab.clock.step()
        await lab.clock.step()
    assert lab.reports == [HealthReport(True)]


async def test_without_a_probe_nothing_is_reported() -> None:
    service = HealthService(HealthSettings(), [], lambda _: pytest.fail("a report"))
    task = asyncio.create_task(service.run())
    await asyncio.sleep(0)
    assert not task.done()
    assert service.status() == HealthStatus("off")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
