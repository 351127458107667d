# SPDX-License-Identifier: Apache-2.0
"""Responses fitted to the Envoy in use, a few resources at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from mesh_agent.adapt.adapter import OPENED, Adapter

log = logging.getLogger(__name__)

# About a hundredth of a second; names are answered on the same loop.
_AT_A_TIME = 100


def opens(adapter: Adapter, type_url: str) -> bool:
    """Whether resources of a type are looked into at all."""
    return adapter.active and type_url in OPENED


async def fit(adapter: Adapter, type_url: str, packed: Iterable[Any]) -> None:
    """Change resources (google.protobuf.Any) in place; log what is asked for in vain, once."""
    told = len(adapter.ignored)
    for index, each in enumerate(packed, start=1):
        each.value = adapter.resource(type_url, each.value)
        if index % _AT_A_TIME == 0:
            await asyncio.sleep(0)
    for what in list(adapter.ignored)[told:]:
        log.warning("asked for, and not in this Envoy: %s", what)
