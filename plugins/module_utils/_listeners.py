# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Who holds a port: listening sockets, their processes and their systemd units, read from /proc."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from dataclasses import dataclass

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_UNBOUND = "07"  # state of a UDP socket that is not connected
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket))(?:/|$)")


@dataclass(frozen=True)
class Listener:
    """A bound port; process and unit are empty where the holder cannot be seen."""

    protocol: str
    port: int
    process: str
    pid: int
    unit: str


def parse_table(text: str, protocol: str) -> t.Iterator[tuple[str, int]]:
    """``(inode, port)`` of the listening sockets of one /proc/net table (proc(5))."""
    state = _LISTEN if protocol == "tcp" else _UNBOUND
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == state:
            yield fields[9], int(fields[1].rpartition(":")[2], 16)


def unit_of(cgroup: str) -> str:
    """The systemd unit in the text of /proc/PID/cgroup, whichever cgroup version wrote it."""
    found = [match.group(1) for line in cgroup.splitlines() for match in _UNIT.finditer(line)]
    return found[-1] if found else ""


def parse_socket_units(text: str) -> dict[int, str]:
    """Port to socket unit, from ``systemctl list-sockets --no-legend``.

    systemd itself holds a socket until its service starts, so the process tells nothing.
    """
    units: dict[int, str] = {}
    for line in text.splitlines():
        fields = line.split()
        port = fields[0].rpartition(":")[2] if fields else ""
        if port.isdigit():
            units[int(port)] = next((f for f in fields[1:] if f.endswith(".socket")), "")
    return units


def listeners(
    ports: t.Collection[int], socket_units: t.Mapping[int, str], proc: str = "/proc"
) -> list[Listener]:
    """Every holder of one of ``ports``, TCP and UDP, sorted by port."""
    inodes: dict[str, tuple[str, int]] = {}
    for protocol in ("tcp", "udp"):
        for table in (protocol, f"{protocol}6"):
            for inode, port in parse_table(_text(os.path.join(proc, "net", table)), protocol):
                if port in ports:
                    inodes[inode] = (protocol, port)
    holders = _holders(set(inodes), proc) if inodes else {}
    found = set()
    for inode, (protocol, port) in inodes.items():
        process, pid, unit = holders.get(inode, ("", 0, ""))
        found.add(Listener(protocol, port, process, pid, socket_units.get(port) or unit))
    return sorted(found, key=lambda held: (held.port, held.protocol, held.pid))


def _holders(inodes: set[str], proc: str) -> dict[str, tuple[str, int, str]]:
    """Socket inode to ``(process, pid, unit)``; another user's sockets are seen by root only."""
    found: dict[str, tuple[str, int, str]] = {}
    for pid in filter(str.isdigit, os.listdir(proc)):
        targets = _open_files(os.path.join(proc, pid, "fd"))
        for match in filter(None, map(_SOCKET.fullmatch, targets)):
            if match.group(1) in inodes:
                name = _text(os.path.join(proc, pid, "comm")).strip()
                unit = unit_of(_text(os.path.join(proc, pid, "cgroup")))
                found[match.group(1)] = (name, int(pid), unit)
    return found


def _open_files(directory: str) -> t.Iterator[str]:
    """What a process has open, as far as it is still there and ours to see."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(directory):
            with contextlib.suppress(OSError):
                yield os.readlink(os.path.join(directory, descriptor))


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
