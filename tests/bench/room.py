# SPDX-License-Identifier: Apache-2.0
"""A network and mounts of their own for a run: fixed ports are free, no rule or load of the host's
network is in the way, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ADDRESS = "10.247.0.1"
"""The host's address there, beside loopback."""

_INSIDE = "HYBRID_MESH_BENCH_ROOM"


def inside() -> bool:
    """Whether this program runs there."""
    return bool(os.environ.get(_INSIDE))


def enter() -> None:
    """Run this program again, inside; root and whoever may have namespaces can."""
    command = ["unshare", "--net", "--mount", "--kill-child"]
    command += [] if os.geteuid() == 0 else ["--map-root-user"]
    command += [sys.executable, "-m", "tests.bench", *sys.argv[1:]]
    os.execvpe(command[0], command, {**os.environ, _INSIDE: "1"})  # noqa: S606


def furnish(directory: Path) -> None:
    """Loopback, an interface with a default route, a resolv.conf that names loopback,
    and the directory of the proxy's logs."""
    for words in (
        "link set lo up",
        "link add outside type veth peer name beyond",
        f"address add {ADDRESS}/24 dev outside",
        "link set outside up",
        "link set beyond up",
        "route add default dev outside",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    conf = directory / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", str(conf), os.path.realpath("/etc/resolv.conf")], check=True)
