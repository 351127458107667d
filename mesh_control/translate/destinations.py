# SPDX-License-Identifier: Apache-2.0
"""The clusters that the destinations of a VirtualService mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mesh_control.translate import names
from mesh_control.translate.api.virtual_service import Destination, Target
from mesh_control.translate.hosts import whole
from mesh_control.translate.mesh import Mesh


def destination_cluster(mesh: Mesh, namespace: str, destination: Destination, port: int) -> str:
    """Return the cluster that a destination in an object of ``namespace`` means.

    Without a port it is the service's only one, else the one that the client called.
    """
    host = whole(destination.host, namespace, mesh.domain)
    service = mesh.services.get(host)
    if destination.port is not None:
        port = destination.port.number
    elif service is not None and len(service.ports) == 1:
        port = service.ports[0].number
    return names.outbound(service.host if service else host, port, destination.subset)


def weighted_clusters(
    mesh: Mesh, namespace: str, targets: Sequence[Target], port: int
) -> Mapping[str, int]:
    """Return cluster -> weight; of a single destination the weight does not matter."""
    chosen = targets if len(targets) == 1 else [t for t in targets if t.weight]
    result: dict[str, int] = {}
    for target in chosen:
        cluster = destination_cluster(mesh, namespace, target.destination, port)
        result[cluster] = result.get(cluster, 0) + target.weight
    return result
