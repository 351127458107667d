# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mesh_agent.settings import AgentSettings, Paths
from tests.wire.agent.support.host import settings_for
from tests.wire.agent.support.plane import Plane


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    """A control plane that does what the test tells it, with a token ``t`` for the host."""
    plane = Plane(tmp_path / "plane")
    await plane.start()
    yield plane
    await plane.stop()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Private directories."""
    return Paths(tmp_path / "state", tmp_path / "run")


@pytest.fixture
def settings(plane: Plane, tmp_path: Path) -> AgentSettings:
    """A host that has a join token."""
    settings = settings_for(plane, tmp_path)
    settings.identity.token.write_text("t\n")
    plane.tokens["t"] = str(settings.spiffe_id)
    return settings
