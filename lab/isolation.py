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


def table(lab: str) -> str:
    """The name of the lab's table."""
    return f"hybrid_mesh_lab_{lab.replace('-', '_')}"


def rules(lab: str, bridges: Sequence[str]) -> str:
    """What nft is to load: nothing passes from one bridge to another."""
    drops = "".join(
        f'    iifname "{here}" oifname "{there}" drop\n' for here, there in permutations(bridges, 2)
    )
    name = table(lab)
    return (
        f"add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n"
        f"  chain forward {{\n    type filter hook forward priority -1; policy accept;\n"
        f"{drops}  }}\n}}\n"
    )


def isolate(lab: str, bridges: Sequence[str]) -> None:
    """Loads the rules, in place of what an earlier start left."""
    done = subprocess.run(
        ["nft", "-f", "-"], input=rules(lab, bridges), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise LabError(f"nft refuses the rules that keep networks apart: {done.stderr.strip()}")


def join(lab: str) -> None:
    """Removes the table, if it is there."""
    name = table(lab)
    script = f"add table inet {name}\ndelete table inet {name}\n"
    subprocess.run(["nft", "-f", "-"], input=script, capture_output=True, text=True, check=False)
