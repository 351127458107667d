# SPDX-License-Identifier: Apache-2.0
"""The agent's short-lived processes, and which of them it starts before its own libraries load.

To read YAML and to load a cryptography library takes as long as to load the agent: it is done
meanwhile, on another core, and both are out of memory once it is done.
"""

from __future__ import annotations

from pathlib import Path

from mesh_core import apart
from mesh_core.apart import Apart


def start_reader(config: Path) -> Apart:
    """Start what reads the configuration; see `mesh_core.config_reader`."""
    return apart.start("mesh_core.config_reader", str(config))


def start_key_worker() -> Apart:
    """Start what makes keys; see `mesh_agent.identity.worker`."""
    return apart.start("mesh_agent.identity.worker")


def begin(config: Path, state: Path) -> tuple[Apart, Apart | None]:
    """Start what an agent with these directories needs at once.

    Returns the reader, and a key worker on a host that has no certificate yet.
    """
    worker = None if (state / "identity" / "current").exists() else start_key_worker()
    return start_reader(config), worker
