# SPDX-License-Identifier: Apache-2.0
"""What is laid into the host that runs a cluster: units, and what their programs read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath

from lab.cluster import api_plan, istiod_plan
from lab.cluster.api_plan import ApiPlan
from lab.cluster.command import Command
from lab.cluster.istiod_plan import IstiodPlan
from lab.cluster.pki import Authority
from lab.files import File, enabled
from lab.spec import Cluster, Host

# Where podman puts the programs of `make tools`, and where the units find everything else.
TOOLS = PurePath("/opt/lab-tools")
STATE = PurePath("/var/lib/lab-cluster")


def volumes(host: Host, tools: Path) -> Mapping[Path, PurePath]:
    """Directories of this machine for `podman create`: the programs, where a cluster runs."""
    return {tools: TOOLS} if host.cluster else {}


def api(host: Host, cluster: Cluster) -> ApiPlan:
    """The API server of a host, reached from this machine and from every other host."""
    return ApiPlan(
        name=cluster.id,
        directory=STATE,
        port=6443,
        etcd_port=2379,
        etcd_peer_port=2380,
        address=str(host.addresses[0]),
        names=(host.name, *map(str, host.addresses)),
        # On loopback as well: istiod is beside it, whatever a test does to the network.
        arguments=("--bind-address=::",),
    )


def cluster_files(host: Host) -> list[File]:
    """The units of a host with a cluster, the same with every new lab; none of another host."""
    if host.cluster is None:
        return []
    istiod = IstiodPlan(
        cluster=host.cluster.id,
        directory=STATE,
        kubeconfig=STATE / "kubeconfig",
        address=str(host.addresses[0]),
        environment=dict(host.cluster.environment),
    )
    commands = api_plan.commands(api(host, host.cluster), TOOLS)
    files = []
    before = "network.target"
    for command in (*commands, istiod_plan.command(istiod, TOOLS)):
        name = f"{command.name}.service"
        files += [File(f"etc/systemd/system/{name}", unit(command, before)), enabled(name)]
        before = name
    return files


def secret_files(host: Host, cluster: Cluster, authority: Authority) -> list[File]:
    """Keys and certificates of the units, new with every lab."""
    plan = api(host, cluster)
    contents = api_plan.files(plan, authority)
    local = replace(plan, address="127.0.0.1")
    administrator = api_plan.client(local, authority, "istiod", (api_plan.ADMIN_GROUP,))
    contents["kubeconfig"] = administrator.encode()
    directory = str(STATE).removeprefix("/")
    return [File(f"{directory}/{name}", text.decode(), 0o600) for name, text in contents.items()]


def unit(command: Command, after: str) -> str:
    """The unit that runs a command. Of them, only the API server says when it is ready."""
    kind = "notify" if command.name == "kube-apiserver" else "exec"
    environment = "".join(f'Environment="{k}={v}"\n' for k, v in command.environment.items())
    arguments = " \\\n    ".join(command.argv)
    return (
        f"# Written by the lab: a part of the Istio mesh that its user has.\n"
        f"[Unit]\nDescription=Lab cluster: {command.name}\nAfter={after}\n"
        f"StartLimitIntervalSec=0\n\n"
        f"[Service]\nType={kind}\nExecStart={arguments}\n{environment}"
        f"WorkingDirectory={STATE}\nRestart=always\nRestartSec=500ms\nTimeoutStopSec=5s\n"
        f"LimitNOFILE=16384\n\n"
        f"[Install]\nWantedBy=multi-user.target\n"
    )
