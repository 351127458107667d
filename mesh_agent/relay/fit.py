# SPDX-License-Identifier: Apache-2.0
"""Responses fitted to the Envoy in use, a few resources at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from mesh_agent.adapt.adapter import OPENED, Adapter

# About a hundredth of a second; names are answered on the same loop.
_AT_A_TIME = 100


def opens(adapter: Adapter, type_url: str) -> bool:
    """Whether resources of a type are looked into at all."""
    return adapter.active and type_url in OPENED


async def fit(adapter: Adapter, type_url: str, packed: Iterable[Any]) -> None:
    """Change resources (google.protobuf.Any) in place."""
    for index, each in enumerate(packed, start=1):
        each.value = adapter.resource(type_url, each.value)
        if index % _AT_A_TIME == 0:
            await asyncio.sleep(0)
