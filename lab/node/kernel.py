# SPDX-License-Identifier: Apache-2.0
"""Settings of the whole machine that privileged nodes change; put back with the last node."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from lab.kernel import RECORD as LAB_RECORD
from lab.kernel import ROOT

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
RECORD = LAB_RECORD.with_name("nodes.json")


def remember(root: Path = ROOT, record: Path = RECORD) -> None:
    """Writes down the settings before the first node changes them."""
    if record.exists():
        return
    names = [name for name in SHARED if (root / name).exists()]
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps({name: (root / name).read_text() for name in names}))


def put_back(root: Path = ROOT, record: Path = RECORD) -> list[str]:
    """Puts back what was written down; gives the names of the settings that had changed."""
    if not record.exists():
        return []
    before = json.loads(record.read_text())
    changed = [name for name, value in before.items() if (root / name).read_text() != value]
    for name in changed:
        (root / name).write_text(before[name])
    record.unlink()
    with contextlib.suppress(OSError):  # not ours alone
        record.parent.rmdir()
    return changed
