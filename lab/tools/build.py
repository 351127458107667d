# SPDX-License-Identifier: Apache-2.0
"""Builds the programs with Go from the versions that the go.mod files pin."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from lab.errors import LabError
from lab.tools.catalog import DEFINITION, Program, linker_flags

# A whole build of one program on two busy cores takes about five minutes.
TIMEOUT_SECONDS = 1800


def command(
    program: Program, target: Path, definition: Path = DEFINITION, go: Path = Path("go")
) -> list[str]:
    """The command that builds `program` as the file `target`, run in its module's directory."""
    return [
        str(go),
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        f"-ldflags={linker_flags(program.module, definition)}",
        f"-tags={','.join(program.tags)}",
        f"-o={target}",
        program.package,
    ]


def build(program: Program, directory: Path, *, go: Path, definition: Path = DEFINITION) -> None:
    """Build one program into `directory`: it is there as a whole or not at all.

    LabError with the end of what Go said.
    """
    with tempfile.TemporaryDirectory(dir=directory, prefix=".building-") as place:
        made = Path(place) / program.name
        done = subprocess.run(
            command(program, made, definition, go),
            cwd=definition / program.module,
            # Go's compiler is done a fifth sooner when it collects its garbage more rarely.
            env={"GOGC": "400", **os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode:
            said = "\n".join(done.stdout.splitlines()[-20:])
            raise LabError(f"go build {program.package}: status {done.returncode}\n{said}")
        made.replace(directory / program.name)
