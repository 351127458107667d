# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Why the hosts of an inventory could not join the mesh of a cluster: each what, where, what to do.

Judges what the module mesh_info found, before anything is touched.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hybrid.mesh.plugins.plugin_utils._istio_objects import NETWORK_LABEL
from ansible_collections.hybrid.mesh.plugins.plugin_utils._topology import Member

Found = t.Mapping[str, t.Any]  # what mesh_info returns


@dataclass(frozen=True)
class Wanted:
    """What the inventory says of the mesh as a whole."""

    istio_namespace: str = "istio-system"
    manage_groups: bool = True  # whether groups and accounts are made by us
    said: t.Mapping[str, str] = field(default_factory=dict)  # mesh_id, mesh_trust_domain, ...


def problems(found: Found, members: t.Sequence[Member], wanted: Wanted) -> list[str]:
    """Everything that is wrong, the most fundamental first."""
    checks = (
        _permissions(found, wanted),
        _names(found, wanted),
        _namespaces(found, members),
        _networks(found, members, wanted),
        _identities(found, wanted),
        [] if wanted.manage_groups else _groups(found, members),
        _connections(found),
    )
    return [problem for check in checks for problem in check]


def _permissions(found: Found, wanted: Wanted) -> t.Iterator[str]:
    for entry in found["missing_permissions"]:
        if entry["optional"]:
            continue
        if not wanted.manage_groups and _for_groups(entry):
            continue
        yield (
            f"the user of the kubeconfig may not {entry['text']}, needed to {entry['purpose']}: "
            "bind the roles of roles/cluster/files to that user"
        )


def _for_groups(entry: t.Mapping[str, t.Any]) -> bool:
    """Whether only who makes WorkloadGroups and ServiceAccounts needs the permission."""
    if entry["resource"] == "serviceaccounts":
        return not entry["subresource"]
    return entry["resource"] == "workloadgroups" and entry["verb"] not in ("get", "list")


def _names(found: Found, wanted: Wanted) -> t.Iterator[str]:
    mesh = found["mesh"]
    if mesh["config"] is None:
        # All that follows from it would be Istio's defaults, which may be another mesh's.
        yield (
            f"the mesh's configuration was not read: {found['unread'][0]}. Correct "
            "mesh_istio_namespace, mesh_revision, or what the user may do"
        )
        return
    for variable, key in (
        ("mesh_cluster_id", "cluster_id"),
        ("mesh_trust_domain", "trust_domain"),
        ("mesh_id", "mesh_id"),
    ):
        said = wanted.said.get(variable)
        if said and mesh[key] and said != mesh[key]:
            yield (
                f"{variable} is {said}, and the cluster's {key} is {mesh[key]}: istiod refuses "
                "hosts that say another one. Correct it, or leave it to the cluster"
            )
    if not mesh["cluster_id"] and not wanted.said.get("mesh_cluster_id"):
        yield (
            "the cluster does not say its ID (global.multiCluster.clusterName of the ConfigMap "
            f"{wanted.istio_namespace}/istio-sidecar-injector): set mesh_cluster_id to the "
            "CLUSTER_ID of its istiod"
        )


def _namespaces(found: Found, members: t.Sequence[Member]) -> t.Iterator[str]:
    roots: dict[str, str] = {}
    for entry in found["namespaces"]:
        name, root = entry["name"], entry["root_certificate"]
        if root is None:
            away = f"ConfigMap {name}/istio-ca-root-cert: "
            hidden = [text for text in _unread(found) if text.startswith(away)]
            if hidden:
                # Where permissions were asked for, it is among what the user may not do.
                if not _forbidden(found, "configmaps", name):
                    yield f"the mesh's root certificate was not read: {hidden[0]}"
                continue
            hosts = _some([m.name for m in members if m.namespace == name])
            yield (
                f"the namespace {name} has no ConfigMap istio-ca-root-cert ({hosts} would be "
                f"there): create the namespace (kubectl create namespace {name}), or correct "
                "mesh_namespace. istiod writes the ConfigMap"
            )
        else:
            roots.setdefault("\n".join(c["sha256"] for c in root["certificates"]), name)
    if len(roots) > 1:
        yield (
            f"the root certificates in the namespaces {', '.join(roots.values())} differ: expected "
            "the same istio-ca-root-cert in each, or hosts of one would not trust the other's"
        )


def _networks(found: Found, members: t.Sequence[Member], wanted: Wanted) -> t.Iterator[str]:
    own = found["mesh"]["network"]
    networks = sorted({m.network for m in members})
    ours = {m.network for m in members if m.profile == "gateway"}
    leads = ours | {entry["name"] for entry in found["networks"]}
    # None is a label that could not be read: it may be there.
    if own == "" and (len(networks) > 1 or ours):
        yield (
            f"the namespace {wanted.istio_namespace} has no label {NETWORK_LABEL}, and the hosts "
            f"are on {', '.join(networks)}: istiod would take its own workloads to be reachable "
            f"from everywhere. Label it: kubectl label namespace {wanted.istio_namespace} "
            f"{NETWORK_LABEL}=NETWORK"
        )
    where = {m.outside_network for m in members} - {None}
    if own and where and where != {own}:
        yield (
            f"mesh_control_plane_network is {', '.join(sorted(map(str, where)))}, and the cluster "
            f"says that it is on {own} (label {NETWORK_LABEL} of {wanted.istio_namespace}): "
            "correct one of them"
        )
    several = len({*networks, own or ""} - {""}) > 1
    seen = (
        f". Of the cluster's own gateways, only those of {wanted.istio_namespace} may be seen"
        if any(text.startswith("Services of gateways: ") for text in _unread(found))
        else ""
    )
    place = f"; the cluster is on {own}" if own else ""
    for network in networks if several else []:
        if network not in leads:
            hosts = _some([m.name for m in members if m.network == network])
            yield (
                f"no gateway leads to the network {network}: calls from other networks would go "
                "straight to addresses there. Put a host of mesh_gateways on it, or correct "
                f"mesh_network of {hosts}{place}{seen}"
            )


def _identities(found: Found, wanted: Wanted) -> t.Iterator[str]:
    for entry in found["identities"]:
        missing = "does not exist" in entry["problem"]
        # A token that could not be tried may be all right.
        if entry["accepted"] is False and not (missing and wanted.manage_groups):
            yield (
                f"service account {entry['namespace']}/{entry['service_account']}: "
                + entry["problem"]
            )


def _groups(found: Found, members: t.Sequence[Member]) -> t.Iterator[str]:
    there = {
        (namespace["name"], group["name"]): group
        for namespace in found["namespaces"]
        for group in namespace["workload_groups"]
    }
    for host in members:
        if host.group is None:
            continue
        key = f"{host.namespace}/{host.group}"
        group = there.get((host.namespace, host.group))
        if group is None:
            yield (
                f"{host.name}: there is no WorkloadGroup {key}, and cluster_manage_groups is "
                "false: create it, or correct mesh_workload_group"
            )
        elif group["service_account"] != host.service_account:
            yield (
                f"{host.name}: its service account is {host.service_account}, and that of the "
                f"WorkloadGroup {key} is {group['service_account']}: istiod registers no host with "
                "another one. Correct mesh_service_account, or the group"
            )


def _connections(found: Found) -> t.Iterator[str]:
    for entry in found["connections"]:
        # One that was not reached from here may be reached from the hosts: they try it themselves.
        if entry["certificate"] and entry["problem"]:
            yield (
                f"istiod at {entry['problem']}: expected {found['mesh']['server_name']} and the "
                "mesh's root. Correct mesh_control_plane_addresses, or istiod's certificate "
                "(ISTIOD_CUSTOM_HOST)"
            )


def _unread(found: Found) -> t.Sequence[str]:
    return found.get("unread") or ()


def _forbidden(found: Found, resource: str, namespace: str) -> bool:
    return any(
        (entry["resource"], entry["namespace"]) == (resource, namespace)
        for entry in found["missing_permissions"]
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
