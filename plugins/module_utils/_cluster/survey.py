# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Asks a cluster, and its istiods, for what `reconcile` compares with the inventory."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import apply, forward
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.liveness import Place
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import NETWORKING
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.reconcile import Selector

# GET of a URL -> body. Raises OSError.
Fetch = t.Callable[[str], bytes]

# Of istiod's debug interface: who is connected, with their metadata.
_CONNECTIONS = "adsz"
_MONITORING_PORT = 15014


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


def connected(urls: t.Iterable[str], fetch: Fetch) -> frozenset[Place]:
    """Every host that the istiods are connected to.

    Each URL is one istiod's debug interface, ``http://HOST:PORT/debug``. Raises ClusterError when
    one of them does not answer: an istiod that was not asked may hold the connection.
    """
    found: set[Place] = set()
    for url in urls:
        asked = f"{url.rstrip('/')}/{_CONNECTIONS}"
        try:
            found.update(_places(fetch(asked)))
        except (OSError, ValueError) as exc:
            raise ClusterError(f"istiod_debug: {asked}: {exc}", reason="Unreachable") from exc
    return frozenset(found)


def connected_pods(api: Api, namespace: str) -> frozenset[Place]:
    """Every host that the istiods which are pods of the namespace are connected to.

    They show it to their own pod, and to others for a token only, which the API server's proxy does
    not pass on: so each is asked by port forwarding. Raises ClusterError naming the pod that does
    not answer, or when there is none.
    """
    found: set[Place] = set()
    running = _running(api, namespace)
    if not running:
        raise ClusterError(
            f"namespace {namespace}: expected pods with the label app=istiod, found none that "
            "runs: give istiod_debug"
        )
    for pod in running:
        name = pod["metadata"]["name"]
        try:
            answer = forward.get(api, namespace, name, _port(pod), f"/debug/{_CONNECTIONS}")
            found.update(_places(answer))
        except (ClusterError, ValueError) as exc:
            raise ClusterError(f"istiod {namespace}/{name} cannot be asked: {exc}") from exc
    return frozenset(found)


def _running(api: Api, namespace: str) -> list[Object]:
    """The pods whose istiod may hold connections; also those that are about to go."""
    pods = api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector="app=istiod")
    return [
        pod
        for pod in pods
        if any(
            "running" in (status.get("state") or {})
            for status in (pod.get("status") or {}).get("containerStatuses") or []
        )
    ]


def _port(pod: Object) -> int:
    """Where istiod's debug interface is in its pod, found as istioctl does."""
    given = str((pod["metadata"].get("annotations") or {}).get("prometheus.io/port") or "")
    return int(given) if given.isdigit() else _MONITORING_PORT


def _places(answer: bytes) -> t.Iterator[Place]:
    """What /debug/adsz says. Raises ValueError when it is not that, or not all of it."""
    try:
        said = json.loads(answer)
        clients = said.get("clients") or []
        # istiod always writes the first, and leaves out the second when there is none.
        if said["totalClients"] != len(clients):
            raise ValueError(f"{said['totalClients']} of them, found {len(clients)}")
        for client in clients:
            metadata = client.get("metadata") or {}
            group = metadata.get("AUTO_REGISTER_GROUP")
            for address in metadata["INSTANCE_IPS"].split(",") if group else ():
                yield metadata["NAMESPACE"], address.strip(), group
    except (KeyError, AttributeError, TypeError, ValueError) as exc:
        raise ValueError(f"expected istiod's list of connections: {exc!r}") from exc


def entries(api: Api, namespaces: t.Iterable[str]) -> dict[str, Object]:
    """All WorkloadEntries of the namespaces by ``NAMESPACE/NAME``."""
    return apply.registered(api, "WorkloadEntry", namespaces)
