# SPDX-License-Identifier: Apache-2.0
"""Tests that need more than Python say so by a mark; where it is missing, they are skipped."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from lab.tools import missing as missing_tools

pytest_plugins = ["tests.clusters"]

ENVOY = Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"


def _missing(mark: str) -> str | None:
    """What the mark asks for and this machine does not have; None if it has it."""
    if mark == "needs_root" and os.geteuid() != 0:
        return "runs as root only"
    if mark == "needs_podman" and shutil.which("podman") is None:
        return "podman is not installed"
    if mark == "needs_envoy" and not ENVOY.exists():
        return f"Envoy is not installed: no {ENVOY}"
    if mark == "needs_tools" and missing_tools():
        return f"these are not built: {', '.join(missing_tools())} (make tools)"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers():
        reason = _missing(mark.name)
        if reason is not None:
            pytest.skip(reason)


@pytest.fixture(scope="session")
def envoy_binary() -> Path:
    """The Envoy of requirements/envoy.txt; tests that take it are marked needs_envoy."""
    return ENVOY
