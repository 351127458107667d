# SPDX-License-Identifier: Apache-2.0
"""Questions a second under dnsperf, server by server in turn."""

from __future__ import annotations

import random
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from tests.bench import peers
from tests.bench.measure import cpu, memory
from tests.bench.servers import KNOWN, UNKNOWN, Server
from tests.bench.table import Table, ratio

PASSES, SECONDS = 5, 2
_QUESTIONS = 100_000


@dataclass(frozen=True, slots=True)
class Pass:
    """``rate`` questions a second, ``cpu`` of the server in microseconds a question."""

    rate: float
    cpu: float
    lost: int


def write_questions(directory: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Write what is asked: mesh names alone, and a mix as a host's programs ask."""
    dice = random.Random(1)  # noqa: S311 - the same questions each time
    known = list(names)
    plain, mixed = [], []
    for number in range(_QUESTIONS):
        plain.append(f"{dice.choice(known)} A")
        kind = dice.random()
        if kind < 0.80:
            mixed.append(f"{dice.choice(known)} A")
        elif kind < 0.90:
            mixed.append(f"{dice.choice(known)} AAAA")
        else:
            mixed.append(f"n{number}.{KNOWN if kind < 0.95 else UNKNOWN} A")
    files = {}
    for name, lines in (("mesh names", plain), ("mix", mixed)):
        files[name] = directory / f"{name.replace(' ', '-')}.txt"
        files[name].write_text("\n".join(lines) + "\n")
    return files


def measure(
    servers: Sequence[Server], questions: Path, *, passes: int = PASSES, seconds: int = SECONDS
) -> dict[str, list[Pass]]:
    """Ask each in turn, so that all see the same moments of a machine that others use too."""
    found: dict[str, list[Pass]] = {server.name: [] for server in servers}
    for _unused in range(passes):
        for server in servers:
            found[server.name].append(_one(server, questions, seconds))
    return found


def _one(server: Server, questions: Path, seconds: int) -> Pass:
    used = cpu(server.pid)
    command = [peers.program("dnsperf"), "-s", "127.0.0.1", "-p", str(server.port)]
    command += ["-d", str(questions), "-c", "8", "-T", "1", "-q", "100", "-l", str(seconds)]
    done = subprocess.run(
        command,
        env=peers.environment(),
        capture_output=True,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    rate = re.search(r"Queries per second:\s+([\d.]+)", done.stdout)
    count = re.search(r"Queries completed:\s+(\d+)", done.stdout)
    lost = re.search(r"Queries lost:\s+(\d+)", done.stdout)
    if not (rate and count and lost):
        raise LabError(f"dnsperf of {server.name}: {done.stdout}{done.stderr}")
    return Pass(float(rate[1]), (cpu(server.pid) - used) / int(count[1]) * 1e6, int(lost[1]))


def table(name: str, title: str, found: dict[str, list[Pass]], servers: Sequence[Server]) -> Table:
    """Rates beside dnsmasq's."""
    columns = ["", "a second", "by dnsmasq's", "CPU us each", "by dnsmasq's", "lost", "PSS MB"]
    result = Table(name, title, columns)
    base = found["dnsmasq"]
    for server in servers:
        passes = found[server.name]
        rates = [a.rate / b.rate for a, b in zip(passes, base, strict=True)]
        used = statistics.median(each.cpu for each in passes)
        result.rows.append(
            [
                server.name,
                statistics.median(each.rate for each in passes),
                statistics.median(rates),
                used,
                ratio(used, statistics.median(each.cpu for each in base)),
                sum(each.lost for each in passes),
                memory(server.pid)[1],
            ]
        )
    result.notes.append(
        f"dnsperf -c 8 -q 100, medians of {len(base)} passes in turn; rates compared pass by pass."
    )
    return result
