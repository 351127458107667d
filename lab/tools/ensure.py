# SPDX-License-Identifier: Apache-2.0
"""Brings the programs: `python -m lab tools`."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lab.errors import LabError
from lab.progress import say
from lab.tools import build, go, release
from lab.tools.catalog import PROGRAMS, Program
from lab.tools.location import cache, directory, missing

# Where the programs come from: `build` (from source, with Go) or `release` (downloads).
SOURCE = "HYBRID_MESH_TOOLS_SOURCE"
_MEGABYTE = 1_000_000


def ensure(environment: Mapping[str, str] | None = None) -> Path:
    """Bring what is missing, one program after the other; gives the directory of them all.

    Each is there as a whole or not at all, so a run that was interrupted goes on where it was.
    """
    environment = os.environ if environment is None else environment
    where = directory(environment)
    if not missing(where):
        say(f"all {len(PROGRAMS)} tools are in {where}")
        return where
    bring = _source(environment)
    where.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with _alone(where):
        wanted = [program for program in PROGRAMS if not (where / program.name).exists()]
        for number, program in enumerate(wanted, 1):
            with _timed(f"tool {number} of {len(wanted)}: {program.name}", where / program.name):
                bring(program, where)
    say(f"all {len(PROGRAMS)} tools are in {where} ({time.monotonic() - start:.0f} s)")
    return where


def _source(environment: Mapping[str, str]) -> Callable[[Program, Path], None]:
    """The function that brings one program into a directory."""
    match environment.get(SOURCE, "build"):
        case "build":
            return partial(build.build, go=go.find(cache(environment), environment))
        case "release":
            return release.download
        case other:
            raise LabError(f"{SOURCE}={other}: expected build or release")


@contextmanager
def _timed(text: str, made: Path) -> Iterator[None]:
    """Says what begins, and afterwards how large the file is and how long it took."""
    sys.stdout.write(f"lab: {text} ... ")
    sys.stdout.flush()
    start = time.monotonic()
    verdict = "failed after"
    try:
        yield
        verdict = f"{made.stat().st_size / _MEGABYTE:.0f} MB in"
    finally:
        sys.stdout.write(f"{verdict} {time.monotonic() - start:.1f} s\n")
        sys.stdout.flush()


@contextmanager
def _alone(where: Path) -> Iterator[None]:
    """One run at a time for a directory; another waits, and then finds its work done."""
    with (where / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
