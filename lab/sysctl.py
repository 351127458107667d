# SPDX-License-Identifier: Apache-2.0
"""Settings of the machine: written down before they are changed, and put back afterwards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from pathlib import Path

ROOT = Path("/proc/sys")
# Of the machine, not of a checkout: any lab may be the last. Gone at a reboot, as the settings are.
RECORDS = Path("/run/hybrid-mesh-lab")


def remember(names: Collection[str], root: Path, record: Path) -> None:
    """Write the settings down that exist, unless an earlier user of the record did."""
    if record.exists():
        return
    there = [name for name in names if (root / name).exists()]
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps({name: (root / name).read_text() for name in there}))


def put_back(root: Path, record: Path, keep: Collection[str] = ()) -> list[str]:
    """Put back what was written down, but for `keep`; gives the names of what had changed."""
    if not record.exists():
        return []
    before = json.loads(record.read_text())
    changed = [
        name
        for name, value in before.items()
        if (root / name).read_text() != value and name not in keep
    ]
    for name in changed:
        (root / name).write_text(before[name])
    record.unlink()
    with contextlib.suppress(OSError):  # not ours alone
        record.parent.rmdir()
    return changed
