# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins are imported by the names that they have in an installed collection."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parents[2]


def _name_checkout() -> None:
    """Lets ansible_collections.hybrid.mesh be this checkout, wherever it lies.

    Under ansible-test the collection has that name already.
    """
    if importlib.util.find_spec("ansible_collections") is not None:
        return
    for name, path in (
        ("ansible_collections", []),
        ("ansible_collections.hybrid", []),
        ("ansible_collections.hybrid.mesh", [str(_CHECKOUT)]),
    ):
        package = ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package


_name_checkout()


@pytest.fixture
def checkout() -> Path:
    """The root of the collection."""
    return _CHECKOUT


@pytest.fixture
def verify_run() -> dict[str, Any]:
    """A run of verify on the seven hosts of the demo, all as expected: the arguments of
    make_report but for its hosts, which are still groups and variables by name.
    """
    run: dict[str, Any] = json.loads((_HERE / "data" / "verify_run.json").read_text())
    return run


@pytest.fixture
def make_report(verify_run: dict[str, Any]) -> Any:
    """Makes the report of the run, after the test changed in it what it wants."""
    from ansible_collections.hybrid.mesh.plugins.module_utils._proof import results, topology

    def make(**changes: Any) -> results.Report:
        hosts = [
            topology.read_host(name, host["groups"], host["variables"])
            for name, host in verify_run["hosts"].items()
        ]
        arguments = {
            "mesh": "mesh1",
            "finished": datetime(2026, 11, 21, 11, 42, 7, tzinfo=UTC),
            "hosts": hosts,
            "calls": verify_run["calls"],
            "made": verify_run["made"],
        }
        return results.make_report(**{**arguments, **changes})

    return make
