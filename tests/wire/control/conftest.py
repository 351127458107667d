from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.wire.control.support import Plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    """A running control plane with two WorkloadGroups and one Service."""
    plane = Plane(tmp_path)
    async with plane.running():
        yield plane
