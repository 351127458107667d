# SPDX-License-Identifier: Apache-2.0
"""Start and memory of the agents, against one real istiod."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.agents import DNS_PORT, Agent, Running
from tests.bench.ask import answers
from tests.bench.measure import before_others, cpu, memory, seconds_until
from tests.bench.mesh import FIRST_NAME, Mesh
from tests.bench.table import Table, ratio

STARTS = 7
IDLE_SECONDS = 20.0


@dataclass(slots=True)
class Figures:
    """Of one agent, a value for each start."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float | None:
        values = self.values.get(name)
        return statistics.median(values) if values else None


def measure(
    agents: Sequence[Agent], mesh: Mesh, directory: Path, *, starts: int = STARTS
) -> dict[str, Figures]:
    """Start each in turn, so that both see the same moments of a machine that others use too."""
    found = {agent.name: Figures() for agent in agents}
    for number in range(starts):
        for agent in agents:
            place = directory / f"{agent.name}-{number}"
            place.mkdir(parents=True)
            agent.prepare(place, mesh)
            with before_others(), agent.started(place) as running:
                _one(agent.name, running, found[agent.name], last=number == starts - 1)
    return found


def _one(name: str, running: Running, figures: Figures, *, last: bool) -> None:
    def until(what: str, happened: Callable[[], object], every: float = 0.001) -> None:
        figures.add(what, seconds_until(f"{name}, {what}", running.began, happened, every=every))

    until("certificate", running.has_certificate)
    until("first name", lambda: answers(FIRST_NAME, DNS_PORT))
    until("ready", running.ready, 0.005)
    time.sleep(1)
    rss, pss = memory(running.pid)
    figures.add("RSS fresh", rss)
    figures.add("PSS fresh", pss)
    if last:
        used = cpu(running.pid)
        time.sleep(IDLE_SECONDS)
        figures.add("idle CPU", (cpu(running.pid) - used) / IDLE_SECONDS * 100)
        rss, pss = memory(running.pid)
        figures.add("RSS idle", rss)
        figures.add("PSS idle", pss)
    began = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(30)
    figures.add("exit", time.monotonic() - began)


ROWS = (
    ("exec to certificate, s", "certificate"),
    ("exec to first mesh name, s", "first name"),
    ("exec to ready, s", "ready"),
    ("SIGTERM to exit, s", "exit"),
    ("idle, % of a core", "idle CPU"),
    ("memory fresh, PSS MB", "PSS fresh"),
    ("memory fresh, RSS MB", "RSS fresh"),
    ("memory idle, PSS MB", "PSS idle"),
    ("memory idle, RSS MB", "RSS idle"),
    ("memory with 1,000 names, PSS MB", "PSS names"),
    ("memory with 1,000 names, RSS MB", "RSS names"),
)


def table(found: dict[str, Figures]) -> Table:
    """Ours beside Istio's."""
    ours, theirs = found["mesh-agent"], found["pilot-agent"]
    result = Table("agent", "The agent beside pilot-agent", ["", *found, "ratio"])
    for label, name in ROWS:
        first, second = ours.median(name), theirs.median(name)
        if first is not None or second is not None:
            result.rows.append([label, first, second, ratio(first, second)])
    result.notes += [
        "Medians; each start is a first boot with a join token, both with the released Envoy.",
        "A ratio below 1 is ours ahead. Memory is the agent's process alone, Envoy is not counted.",
        "PSS shares pages with other programs of the same interpreter; alone it is near to RSS.",
    ]
    return result
