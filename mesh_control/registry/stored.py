# SPDX-License-Identifier: Apache-2.0
"""A registration as the WorkloadEntry that istiod would write, and back. Pure.

The entry's spec is what peers see now. What the host said itself stands in an annotation of our
own, so that a later change of the WorkloadGroup still reaches the entry after a restart.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mesh_control.model import Workload
from mesh_control.registry.members import Node

GROUP = "istio.io/autoRegistrationGroup"
CONNECTED = "istio.io/connectedAt"
DISCONNECTED = "istio.io/disconnectedAt"
CONTROLLER = "istio.io/workloadController"
HEALTH_CHECKS = "proxy.istio.io/health-checks-enabled"
NODE = "hybrid.mesh/node"


@dataclass(slots=True, eq=False)
class Registration:
    """One auto-registered workload and its connections."""

    namespace: str
    name: str
    group: str
    node: Node
    connected_at: datetime
    disconnected_at: datetime | None = None
    healthy: bool | None = None  # the last report; None: no report yet
    message: str = ""
    connections: set[str] = field(default_factory=set)
    deadline: float | None = None  # of the monotonic clock, while there is no connection

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


def to_object(
    registration: Registration, workload: Workload, *, controller: str, probed: bool
) -> dict[str, Any]:
    """Return the WorkloadEntry of a registration."""
    annotations = {
        GROUP: registration.group,
        CONTROLLER: controller,
        NODE: json.dumps(dataclasses.asdict(registration.node), sort_keys=True),
    }
    if registration.disconnected_at is None:
        annotations[CONNECTED] = _time(registration.connected_at)
    else:
        annotations[DISCONNECTED] = _time(registration.disconnected_at)
    if probed:
        annotations[HEALTH_CHECKS] = "true"
    spec = {
        "address": workload.address,
        "labels": dict(workload.labels),
        "ports": dict(workload.ports),
        "network": workload.network,
        "locality": workload.locality,
        "serviceAccount": workload.service_account,
        "weight": workload.weight,
    }
    entry: dict[str, Any] = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {
            "name": registration.name,
            "namespace": registration.namespace,
            "labels": dict(workload.labels),
            "annotations": annotations,
        },
        "spec": {key: value for key, value in spec.items() if value},
    }
    if registration.healthy is not None:
        condition = {
            "type": "Healthy",
            "status": str(registration.healthy),
            "message": registration.message,
        }
        entry["status"] = {"conditions": [condition]}
    return entry


def from_object(entry: Any) -> Registration:
    """Read an entry of `to_object`; KeyError, TypeError or ValueError when it is none."""
    metadata = entry["metadata"]
    annotations = metadata["annotations"]
    disconnected = annotations.get(DISCONNECTED)
    connected = annotations.get(CONNECTED, disconnected)
    node = Node(**json.loads(annotations[NODE]))
    conditions = entry.get("status", {}).get("conditions", [])
    health = next((c for c in conditions if c["type"] == "Healthy"), None)
    return Registration(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        group=str(annotations[GROUP]),
        node=node,
        connected_at=datetime.fromisoformat(connected),
        disconnected_at=datetime.fromisoformat(disconnected) if disconnected else None,
        healthy=health["status"] == "True" if health else None,
        message=str(health.get("message", "")) if health else "",
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
