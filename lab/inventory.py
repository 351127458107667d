# SPDX-License-Identifier: Apache-2.0
"""Reads an inventory with Ansible's own eyes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError


def read(path: Path) -> dict[str, object]:
    """What `ansible-inventory --list` answers for the inventory at `path`."""
    # The tools stand beside the interpreter: lab and Ansible are of one virtual environment.
    program = Path(sys.executable).with_name("ansible-inventory")
    if not path.exists():
        raise LabError(f"{path}: no such inventory")
    try:
        done = subprocess.run(
            [program, "--inventory", path, "--list"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
            text=True,
        )
    except FileNotFoundError as error:
        raise LabError(f"{program}: not there: make setup") from error
    if done.returncode:
        raise LabError(f"{path}: {done.stderr.strip()}")
    answer = json.loads(done.stdout)
    if not isinstance(answer, dict):
        raise LabError(f"{path}: ansible-inventory answered {type(answer).__name__}, not a mapping")
    return answer
