# SPDX-License-Identifier: Apache-2.0
"""What the machine is set to for nodes: ways to their pods, and nothing in between.

Frames between a lab's hosts cross the machine's own netfilter where br_netfilter is loaded, and
podman's MASQUERADE would hide who calls a pod. Such frames are not tracked, so not translated: by
rules in a table of the lab's own. The routes go with the bridge.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.node.spec import POD_RANGE, NodeSet

CGROUPS = Path("/sys/fs/cgroup")


def open_ways(nodes: NodeSet) -> None:
    """Leads this machine to the pods; the nodes' bridge must be there."""
    _run(["nft", "-f", "-"], rules(nodes))
    for node in nodes.nodes:
        _run(["ip", "route", "replace", str(node.pods), "via", str(node.address)])


def close_ways(lab: str) -> None:
    """Removes the lab's table, if it is there."""
    _run(["nft", "-f", "-"], _gone(lab))


def rules(nodes: NodeSet) -> str:
    """What nft is to load."""
    hosts, pods = nodes.subnet, POD_RANGE
    return (
        f"{_gone(nodes.lab)}table inet {_table(nodes.lab)} {{\n"
        "  chain prerouting {\n    type filter hook prerouting priority -300; policy accept;\n"
        f"    ip saddr {hosts} ip daddr {pods} notrack\n"
        f"    ip saddr {pods} ip daddr {{ {hosts}, {pods} }} notrack\n  }}\n}}\n"
    )


def remove_cgroups(containers: Iterable[str], root: Path = CGROUPS) -> None:
    """Removes the pods' cgroups, which podman leaves behind in those of removed containers."""
    for identifier in containers:
        for pattern in ("libpod_parent", "*/libpod_parent"):
            for found in root.glob(f"{pattern}/libpod-{identifier}"):
                inner = [path for path in found.rglob("*") if path.is_dir()]
                for directory in (*sorted(inner, reverse=True), found):
                    with contextlib.suppress(OSError):
                        directory.rmdir()


def _table(lab: str) -> str:
    return f"hybrid_mesh_nodes_{lab.replace('-', '_')}"


def _gone(lab: str) -> str:
    return f"add table inet {_table(lab)}\ndelete table inet {_table(lab)}\n"


def _run(command: list[str], text: str = "") -> None:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed: make setup") from error
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.strip()}")
