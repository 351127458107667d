# SPDX-License-Identifier: Apache-2.0
"""Where the programs are: a directory of the user's cache that is named after the pins."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.tools.catalog import DEFINITION, MODULES, PROGRAMS, linker_flags, program

# Names the directory itself, whatever the pins say: for programs that came another way.
OVERRIDE = "HYBRID_MESH_TOOLS"


def digest(definition: Path = DEFINITION) -> str:
    """Changes with every pinned version, every flag, and the source of the mains that are ours."""
    total = hashlib.sha256()
    for module in MODULES:
        total.update(f"\0{module}\0{linker_flags(module, definition)}\0".encode())
        for name in ("go.mod", "go.sum", "main.go"):
            file = definition / module / name
            total.update(file.read_bytes() if file.exists() else b"\0")
    for entry in PROGRAMS:
        total.update(f"\0{entry}".encode())
    return total.hexdigest()[:12]


def directory(environment: Mapping[str, str] | None = None, definition: Path = DEFINITION) -> Path:
    """The directory of the programs, whether they are there yet or not."""
    environment = os.environ if environment is None else environment
    if environment.get(OVERRIDE):
        return Path(environment[OVERRIDE]).expanduser()
    return cache(environment) / "tools" / digest(definition)


def cache(environment: Mapping[str, str]) -> Path:
    """The project's part of the user's cache."""
    return Path(environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "hybrid-mesh"


def tool(name: str) -> Path:
    """The path of a program; LabError if it has not been built."""
    path = directory() / program(name).name
    if not path.exists():
        raise LabError(f"{path}: not there: make tools")
    return path


def missing(where: Path | None = None) -> list[str]:
    """The names of the programs that are not in the directory."""
    where = directory() if where is None else where
    return [entry.name for entry in PROGRAMS if not (where / entry.name).exists()]
