# SPDX-License-Identifier: Apache-2.0
"""Modules run against the real API server, in this process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tests.unit.plugins.conftest  # noqa: F401 - it names the checkout hybrid.mesh
from lab.cluster import ApiServer

_MODULES = "ansible_collections.hybrid.mesh.plugins.modules"
_RUNNER = "ansible_collections.hybrid.mesh.tests.unit.plugins.run_module"

RunModule = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def run_module(api_server: ApiServer) -> RunModule:
    """``run_module(NAME, OPTIONS, check=False)``: the result.

    The user is an administrator, unless the options have another ``kubeconfig``. ``host=True`` for
    a module that works on a host and knows no cluster.
    """
    runner = importlib.import_module(_RUNNER)

    def run(
        name: str, options: dict[str, Any], *, check: bool = False, host: bool = False
    ) -> dict[str, Any]:
        main = importlib.import_module(f"{_MODULES}.{name}").main
        access = {} if host else {"kubeconfig": str(api_server.kubeconfig)}
        result: dict[str, Any] = runner.run_module(main, {**access, **options}, check=check)
        return result

    return run


@pytest.fixture
def checkout() -> Path:
    """The root of the collection."""
    return Path(__file__).resolve().parents[2]
