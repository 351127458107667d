# SPDX-License-Identifier: Apache-2.0
"""The machine's settings that a lab changes, itself or through podman; put back with the last."""

from __future__ import annotations

from pathlib import Path

from lab import sysctl
from lab.sysctl import RECORDS, ROOT

# The default of 128 is used up by about 22 systemd hosts; those beyond it hang without a message.
INSTANCES = "fs/inotify/max_user_instances"
NEEDED = 1024
# What podman turns on with its first network, and never off again.
FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
RECORD = RECORDS / "settings.json"


def prepare(root: Path = ROOT, record: Path = RECORD) -> bool:
    """Writes down the settings before the first lab changes them; true if the limit was raised."""
    sysctl.remember((INSTANCES, *FORWARDING), root, record)
    if int((root / INSTANCES).read_text()) >= NEEDED:
        return False
    (root / INSTANCES).write_text(f"{NEEDED}\n")
    return True


def restore(*, forwarding: bool, root: Path = ROOT, record: Path = RECORD) -> list[str]:
    """Puts back what was written down; gives the names of the settings that had changed.

    ``forwarding`` is False where containers of others need what podman turned on.
    """
    return sysctl.put_back(root, record, keep=() if forwarding else FORWARDING)
