# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Many objects at once: what would change, and changing it over parallel connections."""

from __future__ import annotations

import concurrent.futures
import threading
import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import fields
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object, Objects
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import NETWORKING, SET
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import CONNECTIONS

_PLURALS = {"WorkloadEntry": "workloadentries", "WorkloadGroup": "workloadgroups"}

# (done, of, failed), after each object
Progress = t.Callable[[int, int, int], None]


@dataclass(frozen=True)
class Change:
    """One object before and after; ``before`` is None for a new one, ``body`` for one that goes."""

    kind: str
    path: str
    before: Object | None
    body: Object | None

    @property
    def name(self) -> str:
        """``NAMESPACE/NAME``."""
        return key_of(self.body or self.before or {})

    @property
    def action(self) -> str:
        """``created``, ``updated`` or ``deleted``."""
        if self.body is None:
            return "deleted"
        return "created" if self.before is None else "updated"


@dataclass(frozen=True)
class Outcome:
    """What became of a change: the object as it is now, or the error; neither when not tried."""

    change: Change
    after: Object | None = None
    error: ClusterError | None = None
    tried: bool = True

    @property
    def done(self) -> bool:
        """Whether the change was made."""
        return self.tried and self.error is None


def key_of(found: Object) -> str:
    """``NAMESPACE/NAME``, or ``NAME`` of an object without a namespace."""
    metadata = found.get("metadata") or {}
    return "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))


def collection(kind: str, namespace: str) -> str:
    """Path of one of Istio's registry kinds in a namespace."""
    return f"/apis/{NETWORKING}/namespaces/{namespace}/{_PLURALS[kind]}"


def registered(api: Api, kind: str, namespaces: t.Iterable[str]) -> dict[str, Object]:
    """All objects of the kind in the namespaces, by ``NAMESPACE/NAME``: one LIST for each."""
    wanted = sorted(set(namespaces))
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        lists = pool.map(lambda namespace: api.list(collection(kind, namespace)), wanted)
        return {key_of(found): found for items in lists for found in items}


def to_apply(kind: str, bodies: Objects, live: t.Mapping[str, Object]) -> list[Change]:
    """Changes that make the registry hold the bodies; none for those that are so already."""
    changes = []
    for body in bodies:
        before = live.get(key_of(body))
        if before is None or not fields.settled(before, body):
            changes.append(Change(kind, _path(kind, body), before, body))
    return changes


def to_prune(
    kind: str, bodies: Objects, live: t.Mapping[str, Object], set_name: str
) -> list[Change]:
    """Changes that remove what we applied for the set before and is no longer wanted."""
    wanted = {key_of(body) for body in bodies}
    return [
        Change(kind, _path(kind, found), found, None)
        for key, found in sorted(live.items())
        if key not in wanted
        and (found["metadata"].get("labels") or {}).get(SET) == set_name
        and fields.ours(found)
    ]


def to_delete(kind: str, keys: t.Iterable[str], live: t.Mapping[str, Object]) -> list[Change]:
    """Changes that remove the named objects, as far as they are there."""
    return [Change(kind, _path(kind, live[key]), live[key], None) for key in keys if key in live]


def _path(kind: str, found: Object) -> str:
    metadata = found["metadata"]
    return f"{collection(kind, metadata['namespace'])}/{metadata['name']}"


def execute(
    api: Api,
    changes: t.Sequence[Change],
    *,
    dry_run: bool,
    force: bool = False,
    steady: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Make the changes, several at a time, in no order; the outcomes are in the changes' order.

    A failure is that object's alone and the rest goes on, except for what would fail in the same
    way: the server away or the credentials refused ends all, a forbidden verb ends the changes of
    that kind and sort (created, updated, deleted) in that namespace. Those are reported as not
    tried. With ``steady``, an object to which somebody wrote since it was read is not deleted.
    """
    everything = ("", "", "")
    closed: set[tuple[str, str, str]] = set()

    def make(change: Change) -> Outcome:
        # A new object takes a verb more than one that changes.
        scope = (change.action, change.kind, _namespace(change))
        if closed & {everything, scope}:
            return Outcome(change, tried=False)
        try:
            return Outcome(change, _send(api, change, dry_run, force, steady))
        except ClusterError as exc:
            if exc.general:
                closed.add(scope if exc.status == 403 else everything)
            return Outcome(change, error=exc)

    lock = threading.Lock()
    done = failed = 0

    def told(change: Change) -> Outcome:
        nonlocal done, failed
        outcome = make(change)
        with lock:
            done += 1
            failed += not outcome.done
            if progress is not None:
                progress(done, len(changes), failed)
        return outcome

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        return list(pool.map(told, changes))


def _namespace(change: Change) -> str:
    found = change.body or change.before or {}
    return str((found.get("metadata") or {}).get("namespace") or "")


def _send(api: Api, change: Change, dry_run: bool, force: bool, steady: bool) -> Object | None:
    if change.body is not None:
        return api.apply(change.path, change.body, force=force, dry_run=dry_run)
    metadata = (change.before or {}).get("metadata") or {}
    only = {key: metadata[key] for key in ("uid", "resourceVersion") if steady or key == "uid"}
    api.delete(change.path, only=only, dry_run=dry_run)
    return None
