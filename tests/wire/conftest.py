# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture(autouse=True)
async def connections_end() -> AsyncIterator[None]:
    """Let the loop turn after a test: a TLS connection that was closed says goodbye first.

    One that is still there when the loop ends is found, later, as a leak of another test.
    """
    yield
    await asyncio.sleep(0.1)
