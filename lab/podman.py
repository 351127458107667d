# SPDX-License-Identifier: Apache-2.0
"""How a lab is said to podman: argument lists (pure), and the one place that runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath

from lab.errors import LabError
from lab.spec import Host, Interface, Lab, Network

LABEL = "hybrid-mesh.lab"
DEFAULT_LAB = "demo"
CONFIGURATION = Path(__file__).with_name("containers.conf")
# SYS_ADMIN for the mounts of systemd's sandbox. SYS_PTRACE, because root has it on a VM: without it
# root cannot see other users' processes where /proc hides them (ProtectProc=), or who holds a port.
CAPABILITIES = "NET_ADMIN,NET_RAW,SYS_ADMIN,SYS_PTRACE"
# A host may join two networks, but it is no router. Inside, /proc/sys is read-only: now or never.
SYSCTLS = (
    "net.ipv4.ip_forward=0",
    "net.ipv6.conf.all.forwarding=0",
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
)


def object_name(lab: str, name: str) -> str:
    """The container or network that stands for `name`: mesh-lab-NAME, or mesh-lab-LAB-NAME."""
    return f"mesh-lab-{name}" if lab == DEFAULT_LAB else f"mesh-lab-{lab}-{name}"


def network_arguments(lab: Lab, network: Network) -> list[str]:
    """`podman network create` for one segment: both families, no way into other segments."""
    arguments = ["network", "create", "--label", f"{LABEL}={lab.name}", "--disable-dns"]
    # Not --internal: this machine would have no address there, and ssh no way in.
    arguments += ["--opt", "isolate=true"]
    if any(subnet.version == 6 for subnet in network.subnets):
        arguments.append("--ipv6")
    for subnet, gateway in zip(network.subnets, network.gateways, strict=True):
        arguments += ["--subnet", str(subnet), "--gateway", str(gateway)]
    return [*arguments, object_name(lab.name, network.name)]


def create_arguments(
    lab: Lab, host: Host, image: str, volumes: Mapping[Path, PurePath] | None = None
) -> list[str]:
    """`podman create` for one host: systemd as PID 1, fixed addresses, fixed interface names.

    `volumes` are directories of this machine that the host has, too, and cannot write.
    """
    arguments = ["create", "--replace", "--name", object_name(lab.name, host.name)]
    arguments += ["--hostname", host.name]
    arguments += ["--label", f"{LABEL}={lab.name}", "--label", f"{LABEL}.host={host.name}"]
    arguments += ["--label", f"{LABEL}.workload={host.workload}"]
    arguments += ["--label", f"{LABEL}.addresses={' '.join(map(str, host.addresses))}"]
    arguments += ["--systemd=always", "--cap-add", CAPABILITIES]
    # Ordinary files, as on a VM, and not podman's mounts: replaceable, and kept over a reboot.
    arguments += ["--dns", "none", "--no-hosts"]
    for source, target in (volumes or {}).items():
        arguments += ["--volume", f"{source}:{target}:ro"]
    for sysctl in SYSCTLS:
        arguments += ["--sysctl", sysctl]
    for number, interface in enumerate(host.interfaces):
        options = [f"{'ip6' if a.version == 6 else 'ip'}={a}" for a in interface.addresses]
        # Without a name given, the order of the interfaces is podman's choice. Without a given MAC
        # address, a reboot changes it, and neighbours keep calling the old one for half a minute.
        options += [f"mac={mac_address(interface)}", f"interface_name=eth{number}"]
        network = object_name(lab.name, interface.network)
        arguments += ["--network", f"{network}:{','.join(options)}"]
    return [*arguments, image, "/sbin/init"]


def mac_address(interface: Interface) -> str:
    """A locally administered MAC address that follows from the interface's first IP address."""
    last_four = interface.addresses[0].packed[-4:]
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *last_four))


def environment() -> dict[str, str]:
    """The environment in which podman sees the lab's settings only."""
    return {**os.environ, "CONTAINERS_CONF": str(CONFIGURATION)}


def podman(*arguments: str, stdin: bytes | None = None, timeout: float = 120) -> str:
    """Runs podman for at most `timeout` seconds; gives its output, or LabError with its words."""
    command = f"podman {' '.join(arguments)}"
    try:
        done = subprocess.run(
            ["podman", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=environment(),
        )
    except FileNotFoundError as error:
        raise LabError("podman is not installed: make setup") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{command}: no answer after {timeout:.0f} s") from error
    if done.returncode:
        raise LabError(f"{command}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().strip()


def containers(lab: str | None = None) -> list[str]:
    """The containers of a lab, or of all labs; LABEL decides, whatever they are called."""
    selection = LABEL if lab is None else f"{LABEL}={lab}"
    listing = podman("ps", "--all", "--filter", f"label={selection}", "--format", "{{.Names}}")
    return sorted(listing.split())


def networks(lab: str) -> list[str]:
    """The networks of a lab."""
    return podman("network", "ls", "--quiet", "--filter", f"label={LABEL}={lab}").split()


def bridges(lab: str) -> list[str]:
    """The interfaces of this machine that are a lab's networks."""
    names = networks(lab)
    if not names:
        return []
    return podman("network", "inspect", "--format", "{{.NetworkInterface}}", *names).split()
