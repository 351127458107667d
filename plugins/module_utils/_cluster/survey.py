# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Asks a cluster, and its istiods, for what `reconcile` compares with the inventory."""

from __future__ import annotations

import json
import typing as t
from datetime import datetime

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import apply
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.liveness import parse_time
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import NETWORKING
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.reconcile import Selector

# GET of a URL -> body. Raises OSError.
Fetch = t.Callable[[str], bytes]


def selectors(api: Api, namespaces: t.Iterable[str]) -> list[Selector]:
    """What Services and ServiceEntries of the namespaces select by."""
    found: list[Selector] = []
    for namespace in sorted(set(namespaces)):
        for service in api.list(f"/api/v1/namespaces/{namespace}/services"):
            labels = (service.get("spec") or {}).get("selector")
            found.extend(_selector("Service", namespace, service, labels))
        for entry in api.list(f"/apis/{NETWORKING}/namespaces/{namespace}/serviceentries"):
            chosen = (entry.get("spec") or {}).get("workloadSelector") or {}
            found.extend(_selector("ServiceEntry", namespace, entry, chosen.get("labels")))
    return found


def _selector(
    kind: str, namespace: str, owner: Object, labels: dict[str, str] | None
) -> t.Iterator[Selector]:
    if labels:
        yield Selector(f"{kind} {owner['metadata']['name']}", namespace, dict(labels))


def controllers(api: Api, namespace: str) -> dict[str, datetime]:
    """The istiods that run as pods of the namespace, with the time when each started."""
    found = {}
    pods = api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector="app=istiod")
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            running = (status.get("state") or {}).get("running") or {}
            started = parse_time(str(running.get("startedAt") or ""))
            if status.get("name") == "discovery" and started is not None:
                found[pod["metadata"]["name"]] = started
    return found


def connected(urls: t.Iterable[str], fetch: Fetch) -> frozenset[tuple[str, str, str]]:
    """(namespace, address, group) of every host that the istiods are connected to.

    Each URL is one istiod's debug interface, ``http://HOST:PORT/debug``. Raises ClusterError when
    one of them does not answer: an istiod that was not asked may hold the connection.
    """
    found: set[tuple[str, str, str]] = set()
    for url in urls:
        asked = f"{url.rstrip('/')}/adsz"
        try:
            clients = json.loads(fetch(asked)).get("clients") or []
            for client in clients:
                found.update(_places(client))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as exc:
            raise ClusterError(
                f"istiod_debug: {asked}: expected istiod's list of connections: {exc}",
                reason="Unreachable",
            ) from exc
    return frozenset(found)


def _places(client: Object) -> t.Iterator[tuple[str, str, str]]:
    metadata = client.get("metadata") or {}
    group = metadata.get("AUTO_REGISTER_GROUP")
    if group:
        for address in metadata["INSTANCE_IPS"].split(","):
            yield metadata["NAMESPACE"], address.strip(), group


def entries(api: Api, namespaces: t.Iterable[str]) -> dict[str, Object]:
    """All WorkloadEntries of the namespaces by ``NAMESPACE/NAME``."""
    return apply.registered(api, "WorkloadEntry", namespaces)
