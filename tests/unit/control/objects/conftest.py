# SPDX-License-Identifier: Apache-2.0
"""The lab's shop as files, and short ways to load a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mesh_control.objects.kinds import KINDS
from mesh_control.objects.load import Loaded, load

SHOP = Path(__file__).parent / "shop"

Lines = Callable[[str], list[str]]


@pytest.fixture
def everything() -> Mapping[str, frozenset[str]]:
    """Every field of every kind that the translation reads, as supported."""
    networking = ["VirtualService", "DestinationRule", "Gateway"]
    security = ["PeerAuthentication", "AuthorizationPolicy"]
    sets = {kind: frozenset(KINDS[kind].schema.fields) for kind in networking + security}
    return {**sets, "MeshConfig": frozenset({"outboundTrafficPolicy.mode", "accessLogFile"})}


@pytest.fixture
def shop() -> dict[str, str]:
    """The files of the shop, by name."""
    return {path.name: path.read_text() for path in SHOP.glob("*.yaml")}


@pytest.fixture
def loaded(everything: Mapping[str, frozenset[str]]) -> Callable[[str], Loaded]:
    """Load one file, shop.yaml, with the given text."""
    return lambda text: load({"shop.yaml": text}, everything)


@pytest.fixture
def lines(loaded: Callable[[str], Loaded]) -> Lines:
    """The problems of a text as the operator reads them, without line numbers."""
    return lambda text: [str(p).rpartition(" (line ")[0] or str(p) for p in loaded(text).problems]
