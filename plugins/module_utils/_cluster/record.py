# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Which objects were applied for a set: kept in a ConfigMap, so that those can go that are no
longer given. Listing every kind by a label would take the right to list every kind.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import MANAGER, Api, Object
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import MANAGED_BY, SET

Reference = t.Tuple[str, str, str, str]  # apiVersion, kind, namespace, name

_KEY = "objects"


class Record:
    """The record of one set in one namespace."""

    def __init__(self, api: Api, set_name: str, namespace: str) -> None:
        self._api = api
        self._set = set_name
        self._namespace = namespace
        self._name = f"hybrid-mesh-set-{set_name}"
        self.path = f"/api/v1/namespaces/{namespace}/configmaps/{self._name}"

    def read(self) -> set[Reference]:
        """The objects of the set. Raises ClusterError for a record that is none."""
        found = self._api.find(self.path)
        if found is None:
            return set()
        try:
            listed = json.loads(found["data"][_KEY])
            return {(str(a), str(k), str(ns), str(n)) for a, k, ns, n in listed}
        except (KeyError, TypeError, ValueError) as exc:
            raise ClusterError(
                f"ConfigMap {self._namespace}/{self._name}: expected the objects of the set "
                f"{self._set} ({exc}); delete it to have all that it named left alone from now on"
            ) from exc

    def write(self, references: t.Iterable[Reference], *, dry_run: bool = False) -> None:
        """Keep these; without any, the record goes."""
        kept = sorted(references)
        if not kept:
            self._api.delete(self.path, dry_run=dry_run)
            return
        labels = {MANAGED_BY: MANAGER, SET: self._set}
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self._name, "namespace": self._namespace, "labels": labels},
            "data": {_KEY: json.dumps(kept)},
        }
        self._api.apply(self.path, body, force=True, dry_run=dry_run)
