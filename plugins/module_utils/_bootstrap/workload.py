# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What ``istioctl x workload entry configure`` writes for a WorkloadGroup, as data. Pure."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.meshconfig import (
    MeshConfig,
    proxy_config,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision

_NAME_LABELS = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_REVISION_LABELS = (
    "service.istio.io/canonical-revision",
    "app.kubernetes.io/version",
    "version",
)
# ssh, Envoy's metrics, its health port: never redirected. The agent's own port is added.
_EXCLUDED_PORTS = "22,15090,15021"
_STATUS_PORT = 15020


@dataclass(frozen=True)
class Group:
    """A WorkloadGroup, or what stands in for one: a gateway has none."""

    name: str
    namespace: str
    service_account: str = "default"
    network: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    probe: dict[str, t.Any] | None = None
    annotations: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Choices:
    """The options of the command. ``internal_address`` and ``external_address`` exclude another."""

    cluster_id: str = ""
    autoregister: bool = True
    capture_dns: bool = True
    internal_address: str = ""
    external_address: str = ""


def read_group(found: dict[str, t.Any]) -> Group:
    """A WorkloadGroup as the API has it."""
    metadata, spec = found["metadata"], found.get("spec") or {}
    carried, template = spec.get("metadata") or {}, spec.get("template") or {}
    return Group(
        name=metadata["name"],
        namespace=metadata["namespace"],
        service_account=template.get("serviceAccount") or "default",
        network=template.get("network") or "",
        labels={**(carried.get("labels") or {}), **(template.get("labels") or {})},
        ports={name: int(port) for name, port in (template.get("ports") or {}).items()},
        probe=spec.get("probe"),
        annotations=(metadata.get("annotations") or {}, carried.get("annotations") or {}),
    )


def with_account(group: Group, account: str, network: str | None) -> Group:
    """The group as a host is in it: what the host itself says comes first."""
    return replace(group, service_account=account, network=network or group.network)


def configure(
    group: Group, mesh: MeshConfig, revision: Revision, choices: Choices
) -> tuple[dict[str, t.Any], dict[str, str]]:
    """``defaultConfig`` of mesh.yaml, and cluster.env by its keys. Raises BootstrapError."""
    config = proxy_config(mesh, group.annotations, revision)
    if group.probe is not None:
        config["readinessProbe"] = group.probe
    config["proxyMetadata"] = {**config["proxyMetadata"], **_metadata(group, mesh, config, choices)}
    return config, {**config["proxyMetadata"], **_environment(group, config, revision, choices)}


def labels_of(group: Group) -> dict[str, str]:
    """The group's labels and Istio's canonical ones."""
    return {
        **group.labels,
        _NAME_LABELS[0]: _first(group.labels, _NAME_LABELS, group.name),
        _REVISION_LABELS[0]: _first(group.labels, _REVISION_LABELS, "latest"),
    }


def _metadata(
    group: Group, mesh: MeshConfig, config: dict[str, t.Any], choices: Choices
) -> dict[str, str]:
    labels = labels_of(group)
    found = {
        "CANONICAL_SERVICE": labels[_NAME_LABELS[0]],
        "CANONICAL_REVISION": labels[_REVISION_LABELS[0]],
        "POD_NAMESPACE": group.namespace,
        "SERVICE_ACCOUNT": group.service_account,
        "TRUST_DOMAIN": mesh.trust_domain,
        "ISTIO_META_CLUSTER_ID": choices.cluster_id,
        "ISTIO_META_MESH_ID": str(config.get("meshId") or ""),
        "ISTIO_META_NETWORK": group.network,
        "ISTIO_META_WORKLOAD_NAME": group.name,
        "ISTIO_METAJSON_LABELS": _compact(labels),
    }
    if group.ports:
        ports = [
            {"name": name, "containerPort": port, "protocol": ""}
            for name, port in sorted(group.ports.items())
        ]
        found["ISTIO_META_POD_PORTS"] = _compact(ports)
    if choices.capture_dns:
        found["ISTIO_META_DNS_CAPTURE"] = "true"
    if choices.autoregister:
        found["ISTIO_META_AUTO_REGISTER_GROUP"] = group.name
    return found


def _environment(
    group: Group, config: dict[str, t.Any], revision: Revision, choices: Choices
) -> dict[str, str]:
    excluded = _EXCLUDED_PORTS
    status_port = int(config.get("statusPort") or _STATUS_PORT)
    if str(status_port) not in excluded.split(",")[1:]:
        excluded += f",{status_port}"
    found = {
        # Sorted by name: the command's order is another one in each run.
        "ISTIO_INBOUND_PORTS": ",".join(str(p) for _name, p in sorted(group.ports.items())) or "*",
        "ISTIO_NAMESPACE": group.namespace,
        "ISTIO_SERVICE": f"{group.name}.{group.namespace}",
        "ISTIO_SERVICE_CIDR": "*",
        "ISTIO_LOCAL_EXCLUDE_PORTS": excluded,
        "SERVICE_ACCOUNT": group.service_account,
    }
    if revision.named:
        found["CA_ADDR"] = revision.address
    if choices.internal_address:
        found["ISTIO_SVC_IP"] = choices.internal_address
    elif choices.external_address:
        found["ISTIO_SVC_IP"] = choices.external_address
        found["REWRITE_PROBE_LEGACY_LOCALHOST_DESTINATION"] = "true"
    return found


def _first(labels: t.Mapping[str, str], keys: t.Sequence[str], otherwise: str) -> str:
    return next((labels[key] for key in keys if key in labels), otherwise)


def _compact(value: t.Any) -> str:
    return json.dumps(value, sort_keys=isinstance(value, dict), separators=(",", ":"))
