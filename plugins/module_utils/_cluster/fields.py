# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Whether an object is already as we want it, from what the API server says of it.

The server keeps which fields each manager applied. Equal values alone do not do: a field that we
applied before and no longer want must go.
"""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import MANAGER, Object

Path = t.Tuple[str, ...]

# Not fields that a manager owns: they say which object is meant.
_IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}


def given(body: Object) -> dict[Path, t.Any]:
    """Path to value of all that a body says. Lists are values, as in Istio's kinds."""
    return {path: value for path, value in _leaves(body, ()) if path not in _IDENTITY}


def _leaves(value: t.Any, path: Path) -> t.Iterator[tuple[Path, t.Any]]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _leaves(entry, (*path, key))
    else:
        yield path, value


def applied(live: Object, manager: str = MANAGER) -> set[Path]:
    """Paths that the manager applied to the object."""
    found: set[Path] = set()
    for entry in live["metadata"].get("managedFields") or []:
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
        ):
            found.update(_owned(entry.get("fieldsV1") or {}, ()))
    return found


def _owned(fields: Object, path: Path) -> t.Iterator[Path]:
    below = {key: value for key, value in fields.items() if key != "."}
    if not below:
        yield path
    for key, value in below.items():
        yield from _owned(value, (*path, key[2:] if key.startswith("f:") else key))


def ours(live: Object, manager: str = MANAGER) -> bool:
    """Whether we ever applied the object."""
    return any(
        entry.get("manager") == manager and entry.get("operation") == "Apply"
        for entry in live["metadata"].get("managedFields") or []
    )


def settled(live: Object, body: Object, manager: str = MANAGER) -> bool:
    """Whether applying the body to the object would change nothing."""
    wanted = given(body)
    return set(wanted) == applied(live, manager) and all(
        _at(live, path) == value for path, value in wanted.items()
    )


def _at(value: t.Any, path: Path) -> t.Any:
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def shown(live: Object | None) -> Object:
    """The part of an object that a difference shows; empty for none, and no Secret's content."""
    if live is None:
        return {}
    metadata = dict(live.get("metadata") or {})
    if live.get("kind") == "Secret":
        live = {k: v for k, v in live.items() if k not in ("data", "stringData")}
        # kubectl apply keeps the whole object in one.
        metadata.pop("annotations", None)
    kept = ("name", "namespace", "labels", "annotations")
    rest = {
        key: value
        for key, value in live.items()
        if key not in ("metadata", "status", "apiVersion", "kind")
    }
    return {"metadata": {key: metadata[key] for key in kept if metadata.get(key)}, **rest}
