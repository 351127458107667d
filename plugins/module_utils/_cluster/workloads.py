# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A registered workload as plain values, from Istio or from the embedded control plane."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import health
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Object


@dataclass(frozen=True)
class Workload:
    """One endpoint of the registry. Texts are empty where nothing says what they are."""

    name: str
    namespace: str
    address: str
    network: str
    service_account: str
    group: str  # the WorkloadGroup that it registered itself in
    labels: dict[str, str]  # as Istio selects it by
    health: str  # "healthy" | "unhealthy" | "unknown" | "unchecked"
    locality: str = ""
    weight: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    connected_at: str = ""  # RFC 3339, while istiod takes it for connected
    disconnected_at: str = ""

    @property
    def key(self) -> str:
        """``NAMESPACE/NAME``."""
        return f"{self.namespace}/{self.name}"


def from_entry(entry: Object) -> Workload:
    """A WorkloadEntry as the API server gives it."""
    metadata, spec = entry["metadata"], entry.get("spec") or {}
    return Workload(
        name=metadata["name"],
        namespace=metadata["namespace"],
        address=str(spec.get("address") or ""),
        network=str(spec.get("network") or ""),
        service_account=str(spec.get("serviceAccount") or ""),
        group=health.annotation(entry, health.GROUP),
        # istiod merges them so: the object's own labels win.
        labels={**(spec.get("labels") or {}), **(metadata.get("labels") or {})},
        health=health.health(entry),
        locality=str(spec.get("locality") or ""),
        weight=spec.get("weight"),
        ports=dict(spec.get("ports") or {}),
        connected_at=health.annotation(entry, health.CONNECTED),
        disconnected_at=health.annotation(entry, health.DISCONNECTED),
    )


def from_status(status: t.Mapping[str, t.Any]) -> list[Workload]:
    """The workloads in what ``mesh-control status --json`` prints.

    Raises ValueError when it is not that.
    """
    found = status.get("workloads")
    if not isinstance(found, list):
        raise ValueError("expected the status of mesh-control, with a list of workloads")
    try:
        return [
            Workload(
                name=entry["name"],
                namespace=entry["namespace"],
                address=entry["address"],
                network=entry["network"] or "",
                service_account=entry["service_account"] or "",
                group=entry["group"] or "",
                labels=dict(entry["labels"]),
                health="healthy" if entry["healthy"] else "unhealthy",
            )
            for entry in found
        ]
    except (KeyError, TypeError) as exc:
        raise ValueError(f"expected the status of mesh-control: workloads: {exc}") from exc
