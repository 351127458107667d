# SPDX-License-Identifier: Apache-2.0
"""Keeps a lab's networks apart, in an nftables table of the lab's own.

Podman's `isolate` does it, too, but netavark 1.4 drops the jump to its rules for all networks when
any isolated network is removed: another lab that goes would join the networks of this one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from itertools import permutations

from lab.errors import LabError


def _gone(lab: str) -> tuple[str, str]:
    """The lab's table, and the script after which it is not there, whether it was or not."""
    name = f"hybrid_mesh_lab_{lab.replace('-', '_')}"
    return name, f"add table inet {name}\ndelete table inet {name}\n"


def rules(lab: str, bridges: Sequence[str]) -> str:
    """What nft is to load: nothing passes from one bridge to another."""
    drops = "".join(
        f'    iifname "{here}" oifname "{there}" drop\n' for here, there in permutations(bridges, 2)
    )
    name, gone = _gone(lab)
    return (
        f"{gone}table inet {name} {{\n"
        f"  chain forward {{\n    type filter hook forward priority -1; policy accept;\n"
        f"{drops}  }}\n}}\n"
    )


def isolate(lab: str, bridges: Sequence[str]) -> None:
    """Loads the rules, in place of what an earlier start left."""
    _load(rules(lab, bridges))


def join(lab: str) -> None:
    """Removes the table, if it is there."""
    _load(_gone(lab)[1])


def _load(script: str) -> None:
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=script, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise LabError("nft is not installed: make setup") from error
    if done.returncode:
        raise LabError(f"nft refuses the rules that keep networks apart: {done.stderr.strip()}")
