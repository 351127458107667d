# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What hosts need to join a mesh, for many hosts in one go.

Every object of the cluster is read once and every subject gets one token, however many hosts
share them.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import workload
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.issue import Issuer
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.meshconfig import MeshConfig
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.parallel import gather
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotFoundError,
)

Host = t.Dict[str, t.Any]  # as the module's option `hosts` has it
Failure = t.Dict[str, str]  # `name` of a host, and `message`


@dataclass(frozen=True)
class Cluster:
    """What is the same for every host of a call."""

    plane: ControlPlane
    mesh: MeshConfig
    cluster_id: str
    root_config_map: str
    wait_seconds: float
    autoregister: bool
    capture_dns: bool


def make(
    cluster: Cluster, issuer: Issuer | None, hosts: t.Sequence[Host]
) -> tuple[list[Host], list[Failure]]:
    """A bundle for each host that can have one, in order, and why the others have none.

    Without an ``issuer`` no token is made.
    """
    groups, no_group = gather(
        [(host["namespace"], host["group"]) for host in hosts if host["group"]],
        lambda key: _group(cluster, *key),
    )
    accounts = {id(host): _account(host, groups) for host in hosts}
    roots, no_root = gather(
        [host["namespace"] for host in hosts],
        lambda namespace: cluster.plane.root_certificate(
            namespace, cluster.root_config_map, cluster.wait_seconds
        ),
    )
    subjects = [
        (host["namespace"], accounts[id(host)])
        for host in hosts
        if host["token"] and (host["namespace"], host["group"]) not in no_group
    ]
    tokens, no_token = gather(subjects, lambda key: issuer.issue(*key)) if issuer else ({}, {})
    bundles, failures = [], []
    for host in hosts:
        namespace, account = host["namespace"], accounts[id(host)]
        subject = (namespace, account) if host["token"] else None
        reasons = [
            no_group.get((namespace, host["group"])),
            no_root.get(namespace),
            no_token.get(subject) if subject else None,
        ]
        try:
            bundle = _bundle(cluster, host, account, groups.get((namespace, host["group"])))
        except BootstrapError as error:
            reasons.append(str(error))
        message = "; ".join(filter(None, reasons))
        if message:
            failures.append({"name": host["name"], "message": message})
            continue
        bundle["root_certificate"] = roots[namespace]
        bundle["token"] = tokens.get(subject) if subject else None
        bundles.append(bundle)
    return bundles, failures


def _group(cluster: Cluster, namespace: str, name: str) -> workload.Group:
    try:
        return workload.read_group(cluster.plane.reader.workload_group(namespace, name))
    except NotFoundError as error:
        raise NotFoundError(
            f"{error}: istiod registers a host against its group; create it first "
            "(hybrid.mesh.workload_group)"
        ) from error


def _account(host: Host, groups: dict[tuple[str, str], workload.Group]) -> str:
    group = groups.get((host["namespace"], host["group"]))
    return str(host["service_account"] or (group.service_account if group else "default"))


def _bundle(cluster: Cluster, host: Host, account: str, found: workload.Group | None) -> Host:
    """The part that follows from what was read."""
    group = found or workload.Group(name=host["name"], namespace=host["namespace"])
    group = workload.with_account(group, account, host["network"])
    choices = workload.Choices(
        cluster_id=cluster.cluster_id,
        autoregister=cluster.autoregister and found is not None,
        capture_dns=cluster.capture_dns,
        internal_address=host["internal_address"] or "",
        external_address=host["external_address"] or "",
    )
    revision = cluster.plane.revision
    config, environment = workload.configure(group, cluster.mesh, revision, choices)
    return {
        "name": host["name"],
        "namespace": host["namespace"],
        "group": host["group"],
        "service_account": account,
        "network": group.network,
        "proxy_config": config,
        "cluster_env": environment,
    }
