# SPDX-License-Identifier: Apache-2.0
"""Starts and stops a lab."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from lab import image, isolation, kernel
from lab.errors import LabError
from lab.files import archive, host_files
from lab.plan import digest
from lab.podman import (
    LABEL,
    bridges,
    containers,
    create_arguments,
    network_arguments,
    networks,
    object_name,
    podman,
)
from lab.progress import say, step
from lab.spec import Host, Lab
from lab.state import ROOT, State

BOOT_SECONDS = 90


def up(lab: Lab, *, fresh: bool = False) -> None:
    """Brings the lab up as described.

    A complete one is kept, and its stopped hosts are started; anything else is replaced.
    """
    state = State.of(lab.name)
    name = image.ensure(ROOT / ".cache")
    mark = f"{digest(lab, name)}\n"
    wanted = [object_name(lab.name, host.name) for host in lab.hosts]
    whole = state.complete.exists() and state.complete.read_text() == mark
    if kernel.prepare():
        say(f"fs.inotify.max_user_instances raised to {kernel.NEEDED} until the last lab is down")
    if whole and not fresh and containers(lab.name) == sorted(wanted):
        say(f"lab {lab.name} is there")
    else:
        remove(lab.name)
        state.complete.unlink(missing_ok=True)
        with step(f"create {len(lab.networks)} networks and {len(lab.hosts)} hosts"):
            _create(lab, name, state.public_key())
    isolation.isolate(lab.name, bridges(lab.name))
    with step("start " + ", ".join(host.name for host in lab.hosts)):
        podman("start", *wanted)
    with step("wait until systemd and ssh are ready everywhere"):
        _wait(lab)
        state.known_hosts.write_text("".join(_host_key(lab, host) for host in lab.hosts))
    state.complete.write_text(mark)


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


def _create(lab: Lab, image_name: str, public_key: str) -> None:
    for network in lab.networks:
        podman(*network_arguments(lab, network))
    for host in lab.hosts:
        podman(*create_arguments(lab, host, image_name))
        files = archive(host_files(lab, host, public_key), time=int(time.time()))
        podman("cp", "-", f"{object_name(lab.name, host.name)}:/", stdin=files)


def _wait(lab: Lab) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    for host in lab.hosts:
        while problem := _problem(lab, host):
            if time.monotonic() > deadline:
                raise LabError(f"{host.name} is not ready after {BOOT_SECONDS} s: {problem}")
            time.sleep(0.2)


def _problem(lab: Lab, host: Host) -> str | None:
    """What is still missing until the host can be used; None if nothing is."""
    script = "systemctl is-system-running; systemctl --failed --plain --no-legend; true"
    container = object_name(lab.name, host.name)
    try:
        answer = podman("exec", container, "timeout", "5", "sh", "-c", script, timeout=20)
    except LabError as error:
        return str(error)
    if not answer.startswith("running"):
        return f"systemctl is-system-running says {answer}"
    try:
        with socket.create_connection((str(host.addresses[0]), 22), timeout=2) as connection:
            return None if connection.recv(4) == b"SSH-" else "port 22 does not speak ssh"
    except OSError as error:
        return f"port 22 at {host.addresses[0]}: {error}"


def _host_key(lab: Lab, host: Host) -> str:
    """The line for known_hosts, read inside the host and not over the network."""
    container = object_name(lab.name, host.name)
    kind, key = podman("exec", container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    return f"{','.join(map(str, host.addresses))} {kind} {key}\n"


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
