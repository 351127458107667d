# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole machine that privileged nodes change; put back with the last node."""

from __future__ import annotations

from pathlib import Path

from lab import sysctl
from lab.sysctl import RECORDS, ROOT

# Kubelet changes the first ones, the nodes' systemd the last two.
SHARED = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "fs/file-max",
    "fs/nr_open",
)
RECORD = RECORDS / "nodes.json"


def remember(root: Path = ROOT, record: Path = RECORD) -> None:
    """Writes down the settings before the first node changes them."""
    sysctl.remember(SHARED, root, record)


def put_back(root: Path = ROOT, record: Path = RECORD) -> list[str]:
    """Puts back what was written down; gives the names of the settings that had changed."""
    return sysctl.put_back(root, record)
