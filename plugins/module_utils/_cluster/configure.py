# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Apply a set of objects in order, each judged by the cluster before anything of it changes."""

from __future__ import annotations

import concurrent.futures
import copy
import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import fields
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import (
    MANAGER,
    Api,
    Object,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.apply import Change
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.documents import Document
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import MANAGED_BY, SET
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import CONNECTIONS

# Written by the API server at every request, or for its own use.
_NOISE = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")


@dataclass(frozen=True)
class Plan:
    """What an object takes: a change, or nothing when it is as wanted, or why it is refused."""

    document: Document
    change: Change | None = None
    error: ClusterError | None = None


def labelled(document: Document, set_name: str) -> Document:
    """The document as it is sent: with the labels that say whose it is."""
    body = copy.deepcopy(document.body)
    labels = body["metadata"].setdefault("labels", {})
    labels[MANAGED_BY] = MANAGER
    labels[SET] = set_name
    return Document(document.file, body)


def plan(
    api: Api, documents: t.Sequence[Document], to_come: t.Collection[str], force: bool
) -> list[Plan]:
    """Ask the cluster about every object, by dry runs.

    ``to_come`` holds namespaces and kinds that do not exist yet because this is check mode: an
    object that needs one of them is new.
    """

    def ask(document: Document) -> Plan:
        try:
            return Plan(document, _change(api, document, force))
        except ClusterError as exc:
            _version, kind, namespace, _name = document.reference
            if exc.status == 404 and {kind, namespace} & set(to_come):
                return Plan(document, Change(kind, "", None, document.body))
            return Plan(document, error=exc)

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(ask, documents))


def _change(api: Api, document: Document, force: bool) -> Change | None:
    version, kind, namespace, name = document.reference
    if api.namespaced(version, kind) and not namespace:
        raise ClusterError(
            "metadata.namespace: expected a namespace, found none", fields=["metadata.namespace"]
        )
    path = api.path_of(version, kind, namespace, name)
    before = api.find(path)
    if before is not None and fields.settled(before, document.body):
        return None
    after = api.apply(path, document.body, force=force, dry_run=True)
    if before is not None and same(before, after):
        return None
    return Change(kind, path, before, document.body)


def same(before: Object, after: Object) -> bool:
    """Whether two states of an object differ in nothing but what the server writes by itself."""
    return _plain(before) == _plain(after) and _owned(before) == _owned(after)


def _plain(found: Object) -> Object:
    metadata = {k: v for k, v in found["metadata"].items() if k not in _NOISE}
    return {**found, "metadata": metadata}


def _owned(found: Object) -> list[t.Any]:
    return [
        entry.get("fieldsV1")
        for entry in found["metadata"].get("managedFields") or []
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
    ]
