# SPDX-License-Identifier: Apache-2.0
"""The collection's modules, run in this process by their names."""

from __future__ import annotations

import importlib
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
