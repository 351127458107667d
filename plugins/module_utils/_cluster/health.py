# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What istiod says about registered workloads: connected or gone, healthy or not."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Object

HEALTH_CHECKS = "proxy.istio.io/health-checks-enabled"
GROUP = "istio.io/autoRegistrationGroup"
CONNECTED = "istio.io/connectedAt"
DISCONNECTED = "istio.io/disconnectedAt"


def annotation(entry: Object, name: str) -> str:
    """An annotation of an entry, empty without it."""
    return str((entry["metadata"].get("annotations") or {}).get(name) or "")


def health(entry: Object) -> str:
    """``healthy``, ``unhealthy``, ``unknown`` before the first report, or ``unchecked``."""
    if annotation(entry, HEALTH_CHECKS) != "true":
        return "unchecked"
    for condition in (entry.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Healthy":
            return "healthy" if condition.get("status") == "True" else "unhealthy"
    return "unknown"


def unhealthy(entries: t.Mapping[str, Object]) -> dict[str, str]:
    """Name -> what is wrong, of the entries that are checked and not healthy."""
    found = {key: health(entry) for key, entry in entries.items()}
    return {
        key: f"expected to be healthy, found {state}"
        for key, state in found.items()
        if state in ("unhealthy", "unknown")
    }


def members(group: str, entries: t.Iterable[Object]) -> list[Object]:
    """Entries that are registered in a group and connected."""
    return [
        entry
        for entry in entries
        if annotation(entry, GROUP) == group and annotation(entry, CONNECTED)
    ]
