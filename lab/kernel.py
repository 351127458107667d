# SPDX-License-Identifier: Apache-2.0
"""The machine's settings that a lab changes, itself or through podman; put back with the last."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

ROOT = Path("/proc/sys")
# The default of 128 is used up by about 22 systemd hosts; those beyond it hang without a message.
INSTANCES = "fs/inotify/max_user_instances"
NEEDED = 1024
# What podman turns on with its first network, and never off again.
FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
# Of the machine, not of a checkout: any lab may be the last. Gone at a reboot, as the settings are.
RECORD = Path("/run/hybrid-mesh-lab/settings.json")


def prepare(root: Path = ROOT, record: Path = RECORD) -> bool:
    """Writes down the settings before the first lab changes them; true if the limit was raised."""
    if not record.exists():
        names = [name for name in (INSTANCES, *FORWARDING) if (root / name).exists()]
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps({name: (root / name).read_text() for name in names}))
    if int((root / INSTANCES).read_text()) >= NEEDED:
        return False
    (root / INSTANCES).write_text(f"{NEEDED}\n")
    return True


def restore(*, forwarding: bool, root: Path = ROOT, record: Path = RECORD) -> list[str]:
    """Puts back what was written down; gives the names of the settings that had changed.

    ``forwarding`` is False where containers of others need what podman turned on.
    """
    if not record.exists():
        return []
    before = json.loads(record.read_text())
    changed = [
        name
        for name, value in before.items()
        if (root / name).read_text() != value and (forwarding or name not in FORWARDING)
    ]
    for name in changed:
        (root / name).write_text(before[name])
    record.unlink()
    with contextlib.suppress(OSError):  # not ours alone
        record.parent.rmdir()
    return changed
