# SPDX-License-Identifier: Apache-2.0
"""What an agent begins before it loads its own libraries.

To load a cryptography library takes as long as to load the agent: it is done meanwhile, on another
core, and is out of memory once the key is made.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mesh_core import apart
from mesh_core.apart import Apart

if TYPE_CHECKING:
    from mesh_core.config import Fragments


def start_key_worker() -> Apart:
    """Start what makes keys; see `mesh_agent.identity.worker`."""
    return apart.start("mesh_agent.identity.worker")


def begin(config: Path, state: Path) -> tuple[Callable[[], Fragments], Apart | None]:
    """Start what an agent with these directories needs at once.

    Returns what gives the configuration (see `mesh_core.config_reader.begin`), and a key worker on
    a host that has no certificate yet.
    """
    worker = None if (state / "identity" / "current").exists() else start_key_worker()
    from mesh_core import config_reader  # the worker does not wait for it

    return config_reader.begin(config), worker
