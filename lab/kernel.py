# SPDX-License-Identifier: Apache-2.0
"""The one setting of the machine that a lab needs raised; put back when the last lab is gone."""

from __future__ import annotations

from pathlib import Path

# The default of 128 is used up by about 22 systemd hosts; those beyond it hang without a message.
SETTING = Path("/proc/sys/fs/inotify/max_user_instances")
NEEDED = 1024
# Of the machine, not of a checkout: any lab may be the last. Gone at a reboot, as the setting is.
RECORD = Path("/run/hybrid-mesh-lab/max_user_instances")


def raise_limit(setting: Path = SETTING, record: Path = RECORD) -> bool:
    """Raises the setting if it is too low and writes down what it was; true if it was raised."""
    before = int(setting.read_text())
    if before >= NEEDED:
        return False
    record.parent.mkdir(exist_ok=True)
    record.write_text(f"{before}\n")
    setting.write_text(f"{NEEDED}\n")
    return True


def restore_limit(setting: Path = SETTING, record: Path = RECORD) -> bool:
    """Puts the setting back to what was written down; true if there was something to put back."""
    if not record.exists():
        return False
    setting.write_text(record.read_text())
    record.unlink()
    record.parent.rmdir()
    return True
