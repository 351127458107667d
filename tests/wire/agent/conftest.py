# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mesh_agent.settings import AgentSettings, Paths
from tests.wire.agent.support.meshes import EmbeddedMesh, IstiodMesh, Mesh, host_of


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Private directories."""
    return Paths(tmp_path / "state", tmp_path / "run")


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


@pytest.fixture
def settings(mesh: Mesh, tmp_path: Path) -> AgentSettings:
    """A host ``api-1`` that has a join token, and serves HTTP."""
    return host_of(mesh, tmp_path, ports=("http",))
