# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""WorkloadGroups and WorkloadEntries, counted. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.workload import read_group
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.health import (
    GROUP,
    annotation,
    health,
)

Object = t.Dict[str, t.Any]


def count(entries: t.Iterable[Object]) -> dict[str, int]:
    """Entries by health, as `health` tells it."""
    found = {"total": 0, "healthy": 0, "unhealthy": 0, "unknown": 0, "unchecked": 0}
    for entry in entries:
        found["total"] += 1
        found[health(entry)] += 1
    return found


def group_of(entry: Object) -> str:
    """Name of the WorkloadGroup that an entry was registered with; empty when there is none."""
    if registered := annotation(entry, GROUP):
        return registered
    owners = entry["metadata"].get("ownerReferences") or []
    return next((str(o["name"]) for o in owners if o.get("kind") == "WorkloadGroup"), "")


def groups(found: t.Iterable[Object], entries: t.Sequence[Object]) -> list[Object]:
    """The WorkloadGroups of a namespace, each with its entries counted."""
    result = []
    for item in found:
        group = read_group(item)
        result.append(
            {
                "name": group.name,
                "service_account": group.service_account,
                "network": group.network,
                "labels": group.labels,
                "ports": group.ports,
                "probe": group.probe is not None,
                "entries": count(e for e in entries if group_of(e) == group.name),
            }
        )
    return result
