# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh_agent.settings import AgentSettings, Paths
from tests.wire.agent.support.host import settings_for
from tests.wire.agent.support.meshes import EmbeddedMesh, IstiodMesh, Mesh
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


@pytest.fixture(scope="session")
def namespaces() -> Iterator[str]:
    """Names that no other test uses."""
    return (f"shop-{number}" for number in itertools.count(1))


@pytest.fixture(params=["embedded", pytest.param("istiod", marks=pytest.mark.needs_tools)])
async def mesh(
    request: pytest.FixtureRequest, namespaces: Iterator[str], tmp_path: Path
) -> AsyncIterator[Mesh]:
    """A running control plane with WorkloadGroups ``api`` and ``web`` and a Service ``api``."""
    found: Mesh
    if request.param == "embedded":
        found = EmbeddedMesh(tmp_path / "control")
    else:
        found = IstiodMesh(
            request.getfixturevalue("api_server"),
            request.getfixturevalue("istiod"),
            next(namespaces),
        )
    await found.start()
    yield found
    if request.param == "embedded":
        await found.stop()
    else:
        await found.start()  # it is the session's
