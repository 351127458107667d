# SPDX-License-Identifier: Apache-2.0
"""The collection's modules: run in this process by their names, or as a user runs them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import tests.unit.plugins.conftest  # noqa: F401 - it names the checkout hybrid.mesh

_MODULES = "ansible_collections.hybrid.mesh.plugins.modules"
_RUNNER = "ansible_collections.hybrid.mesh.tests.unit.plugins.run_module"


def run_module(name: str, options: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """The result of the module; ``failed`` is in it when it failed."""
    runner = importlib.import_module(_RUNNER)
    main = importlib.import_module(f"{_MODULES}.{name}").main
    result: dict[str, Any] = runner.run_module(main, options, check=check)
    return result


def ansible(directory: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs there, with the collections below ``collections``."""
    return subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        env={
            **{key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ},
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
        },
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
