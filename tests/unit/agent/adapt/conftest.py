# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Abilities, Workload
from mesh_agent.adapt.adapter import Adapter

STOCK = Abilities(
    names=frozenset({"envoy.filters.http.router"}),
    types=frozenset(
        {
            words.STATS_LOG,
            words.STDOUT_LOG,
            words.FILE_LOG,
            words.FILTER_STATE,
            words.CEL_FILTER,
            words.LUA,
            words.HEADER_MUTATION,
        }
    ),
)
ISTIOS = Abilities(STOCK.names, STOCK.types | words.ISTIOS)
WORKLOAD = Workload(
    name="api",
    namespace="shop",
    canonical_service="api",
    canonical_revision="v1",
    app="api",
    version="100%",
    cluster="cluster1",
)
GATEWAY = Workload(kind="router", name="gw")
CASES = ["sidecar-Listener", "sidecar-Cluster", "gateway-Listener", "gateway-Cluster"]

Recorded = Callable[[str], Any]


@pytest.fixture
def recorded() -> Recorded:
    """Reads what istiod sent."""

    def read(case: str) -> Any:
        file = Path(__file__).parent / "data" / f"{case}.pb"
        return discovery_pb2.DeltaDiscoveryResponse.FromString(file.read_bytes())

    return read


@pytest.fixture
def stock() -> Adapter:
    """For the released Envoy."""
    return Adapter(STOCK, WORKLOAD)
