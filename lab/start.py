# SPDX-License-Identifier: Apache-2.0
"""Starts a lab."""

from __future__ import annotations

import socket
import time

from lab import image, isolation, kernel
from lab.cluster.pki import Authority
from lab.errors import LabError
from lab.files import archive, host_files
from lab.istio.access import write_kubeconfigs
from lab.istio.install import install
from lab.istio.units import cluster_files, secret_files, volumes
from lab.life import remove
from lab.plan import digest
from lab.podman import (
    bridges,
    containers,
    create_arguments,
    network_arguments,
    object_name,
    podman,
)
from lab.progress import say, step
from lab.spec import Host, Lab
from lab.state import ROOT, State
from lab.tools import directory as tools_directory
from lab.tools import tool

BOOT_SECONDS = 90
PROGRAMS = ("etcd", "kube-apiserver", "istiod", "istioctl", "kubectl")


def up(lab: Lab, *, fresh: bool = False) -> None:
    """Brings the lab up as described.

    A complete one is kept, and its stopped hosts are started; anything else is replaced.
    """
    state = State.of(lab.name)
    if lab.cluster_host:
        for program in PROGRAMS:
            tool(program)  # says what to do where it is not there
    name = image.ensure(ROOT / ".cache")
    mark = f"{digest(lab, name, tools_directory())}\n"
    wanted = [object_name(lab.name, host.name) for host in lab.hosts]
    whole = state.complete.exists() and state.complete.read_text() == mark
    if kernel.prepare():
        say(f"fs.inotify.max_user_instances raised to {kernel.NEEDED} until the last lab is down")
    if whole and not fresh and containers(lab.name) == sorted(wanted):
        say(f"lab {lab.name} is there")
    else:
        remove(lab.name)
        state.complete.unlink(missing_ok=True)
        state.remove_kubeconfigs()
        with step(f"create {len(lab.networks)} networks and {len(lab.hosts)} hosts"):
            _create(lab, name, state)
    isolation.isolate(lab.name, bridges(lab.name))
    with step("start " + ", ".join(host.name for host in lab.hosts)):
        podman("start", *wanted)
    with step("wait until systemd and ssh are ready everywhere"):
        _wait(lab)
        state.known_hosts.write_text("".join(_host_key(lab, host) for host in lab.hosts))
    if lab.cluster_host and not state.complete.exists():
        host, cluster = lab.cluster_host
        with step(f"install Istio in the cluster {cluster.id} on {host.name}"):
            install(host, cluster, state.administrator)
    state.complete.write_text(mark)


def _create(lab: Lab, image_name: str, state: State) -> None:
    for network in lab.networks:
        podman(*network_arguments(lab, network))
    key = state.public_key()
    for host in lab.hosts:
        podman(*create_arguments(lab, host, image_name, volumes(host, tools_directory())))
        files = [*host_files(lab, host, key), *cluster_files(host)]
        if host.cluster:
            authority = Authority.create(f"API of {host.cluster.id}")
            files += secret_files(host, host.cluster, authority)
            write_kubeconfigs(host, host.cluster, authority, state)
        content = archive(files, time=int(time.time()))
        podman("cp", "-", f"{object_name(lab.name, host.name)}:/", stdin=content)


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
