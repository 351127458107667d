# SPDX-License-Identifier: Apache-2.0
"""Looks at a lab and ends it. The standard library is enough for that."""

from __future__ import annotations

from pathlib import Path

from lab import isolation, kernel
from lab.errors import LabError
from lab.podman import LABEL, containers, networks, podman
from lab.progress import say, step
from lab.state import State


def down(lab: str) -> None:
    """Removes the lab, whole or not, and with the last lab what this machine was set to for it."""
    remove(lab)
    State.of(lab).remove()
    if containers():
        return
    others = podman("ps", "--all", "--quiet").split()
    for name in kernel.restore(forwarding=not others):
        say(f"{name.replace('/', '.')} is what it was")


def remove(lab: str) -> None:
    """Removes the containers and networks that carry the lab's label."""
    isolation.join(lab)
    hosts, segments = containers(lab), networks(lab)
    if not hosts and not segments:
        return
    with step(f"remove {len(hosts)} hosts and {len(segments)} networks"):
        if hosts:
            podman("rm", "--force", "--volumes", "--time", "0", *hosts)
        if segments:
            podman("network", "rm", "--force", *segments)


def status(lab: str) -> list[tuple[str, str, str, str]]:
    """(host, state, workload, addresses) of each host of the lab."""
    labels = [f'{{{{index .Labels "{LABEL}.{key}"}}}}' for key in ("host", "workload", "addresses")]
    row = f"{labels[0]}\t{{{{.State}}}}\t{labels[1]}\t{labels[2]}"
    listing = podman("ps", "--all", "--filter", f"label={LABEL}={lab}", "--format", row)
    return sorted(_row(line) for line in listing.splitlines())


def address(lab: str, host: str) -> str:
    """Where the host is reached; LabError with the hosts there are if it is none of them."""
    rows = {row[0]: row[3].split()[0] for row in status(lab)}
    if host not in rows:
        raise LabError(f"no host {host!r} in lab {lab}; there are: {', '.join(rows) or 'none'}")
    return rows[host]


def known_files(lab: str) -> tuple[Path, Path]:
    """(private key, known_hosts) of the lab."""
    state = State.of(lab)
    return state.key, state.known_hosts


def _row(line: str) -> tuple[str, str, str, str]:
    host, state, workload, addresses = line.split("\t")
    return host, state, workload, addresses
