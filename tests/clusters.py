# SPDX-License-Identifier: Apache-2.0
"""A real API server and a real istiod, for all tests of a session; see lab/cluster.

Tests make namespaces of their own, whose names no other test uses: without controllers, a deleted
namespace stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.cluster import ApiServer, Istiod
from lab.cluster.chart import install_definitions

# The first test that asks for a cluster pays for its start, on a machine that may be busy.
_TIMEOUT_SECONDS = 180


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use a cluster need its programs, and time for its start."""
    for item in items:
        if {"api_server", "istiod"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.needs_tools)
        if item.get_closest_marker("needs_tools") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_TIMEOUT_SECONDS))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with Istio's CRDs; nodes and controllers it has none."""
    with ApiServer(tmp_path_factory.mktemp("api-server")) as server:
        install_definitions(server)
        yield server


@pytest.fixture(scope="session")
def istiod(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Istiod]:
    """An istiod of `api_server`. The entry of a host that leaves goes after two seconds."""
    environment = {"PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": "2s"}
    with Istiod(api_server, tmp_path_factory.mktemp("istiod"), environment=environment) as server:
        yield server
