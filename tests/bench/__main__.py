# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.bench [PART ...]``: measures, prints tables, writes .lab/bench/.

Nothing here fails because something is slow: it is for people, who compare the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from lab.cluster.ports import free_ports
from lab.errors import LabError
from tests.bench import agent, dns, mesh, peers, registry, room, runtime, servers
from tests.bench.agents import DNS_PORT, Istios, Ours, Running
from tests.bench.ask import answers
from tests.bench.measure import memory, seconds_until
from tests.bench.table import Table, page

PARTS = ("agent", "dns", "registry")
OUTPUT = Path(__file__).parents[2] / ".lab" / "bench"
NAMES = 1000
_RUNTIME = "HYBRID_MESH_BENCH_RUNTIME"


def main() -> None:
    """Run the parts that are asked for; all of them without a word."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer repeats, for a first look")
    options = parser.parse_args()
    wanted = options.parts or PARTS
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"expected parts of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}")
    try:
        if not room.inside():
            _prepare(wanted)
            room.enter()
        _measure(wanted, quick=options.quick)
    except LabError as error:
        sys.exit(f"bench: {error}")


def _prepare(wanted: Collection[str]) -> None:
    """Have what comes over the network, while there is one."""
    if "registry" in wanted:
        registry.fetch()
    if {"agent", "dns"} & set(wanted):
        peers.fetch()
        os.environ[_RUNTIME] = str(runtime.build(OUTPUT / "runtime"))


def _measure(wanted: Collection[str], *, quick: bool) -> None:
    tables: list[Table] = []
    with tempfile.TemporaryDirectory(prefix="hybrid-mesh-bench-") as temporary:
        directory = Path(temporary)
        room.furnish(directory)
        if {"agent", "dns"} & set(wanted):
            for table in _agents(wanted, directory, quick=quick):
                _show(table, tables)
        if "registry" in wanted:
            _show(registry.measure(), tables)
    print(f"bench: {OUTPUT / 'bench.json'} and bench.html have this too")


def _agents(wanted: Collection[str], directory: Path, *, quick: bool) -> Iterator[Table]:
    ours, theirs = Ours([os.environ[_RUNTIME]]), Istios()
    with mesh.running(directory) as plane, servers.resolver():
        found = {each.name: agent.Figures() for each in (ours, theirs)}
        if "agent" in wanted:
            starts = 2 if quick else agent.STARTS
            found = agent.measure([ours, theirs], plane, directory / "starts", starts=starts)
        names = plane.add_services(NAMES)
        with _named(ours, plane, directory, names) as running:
            _remember(found["mesh-agent"], running)
        with _named(theirs, plane, directory, names) as running:
            _remember(found["pilot-agent"], running)
            if "agent" in wanted:
                yield agent.table(found)
            if "dns" in wanted:
                yield from _dns(ours, running, names, directory, quick=quick)


def _remember(figures: agent.Figures, running: Running) -> None:
    rss, pss = memory(running.pid)
    figures.add("RSS names", rss)
    figures.add("PSS names", pss)


@contextlib.contextmanager
def _named(
    each: Ours | Istios, plane: mesh.Mesh, directory: Path, names: dict[str, str]
) -> Iterator[Running]:
    """Run an agent until it knows every name."""
    place = directory / f"{each.name}-names"
    place.mkdir()
    each.prepare(place, plane)
    with each.started(place) as running:
        for name in names:
            _wait(f"{each.name}, {name}", running, name, DNS_PORT)
        yield running


def _wait(what: str, running: Running, name: str, port: int) -> None:
    seconds_until(what, running.began, lambda: answers(name, port), every=0.05, limit=180)


def _dns(
    ours: Ours, theirs: Running, names: dict[str, str], directory: Path, *, quick: bool
) -> Iterator[Table]:
    """Ours serves what it kept of the run before, without a control plane."""
    questions = dns.write_questions(directory, names)
    ports = free_ports(3)
    passes = 2 if quick else dns.PASSES
    with (
        servers.dnsmasq(names, directory, ports[0]) as dnsmasq,
        servers.unbound(names, directory, ports[1]) as unbound,
        ours.alone(directory / f"{ours.name}-names", ports[2]) as running,
    ):
        _wait(ours.name, running, next(iter(names)), ports[2])
        listed = [
            servers.Server("mesh-agent", ports[2], running.pid),
            servers.Server("pilot-agent", DNS_PORT, theirs.pid),
            dnsmasq,
            unbound,
        ]
        for kind, file in questions.items():
            found = dns.measure(listed, file, passes=passes)
            yield dns.table(f"dns {kind}", f"DNS: {kind}, {NAMES:,} names", found, listed)


def _show(table: Table, tables: list[Table]) -> None:
    """Print it, and write all so far: a run that is stopped keeps what it has."""
    print(table.text(), flush=True)
    tables.append(table)
    about = (
        f"{datetime.date.today():%Y-%m-%d}, {os.cpu_count()} cores, "
        f"{platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())}"
    )
    OUTPUT.mkdir(parents=True, exist_ok=True)
    data = {"about": about, "tables": [each.data() for each in tables]}
    (OUTPUT / "bench.json").write_text(json.dumps(data, indent=1) + "\n")
    (OUTPUT / "bench.html").write_text(page(about, tables))


if __name__ == "__main__":
    main()
