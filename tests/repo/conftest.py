# SPDX-License-Identifier: Apache-2.0
"""The checkout, as these tests look at it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """Every file of the project: tracked or new, and nothing that git ignores."""
    listing = subprocess.run(
        [ROOT / "scripts" / "files.sh"], capture_output=True, check=True, text=True
    )
    found = [ROOT / name for name in listing.stdout.split("\0") if name]
    assert ROOT / "pyproject.toml" in found
    return found
