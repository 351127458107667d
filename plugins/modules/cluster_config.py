#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_config
short_description: Give a cluster a set of Istio's and Kubernetes' objects
version_added: 0.1.0
description:
  - Applies files of objects to a cluster, as one set, by server-side apply with the field manager
    C(hybrid.mesh).
  - The cluster judges every object first, by dry runs, with its schemas, rules and webhooks. When
    it refuses one, the module names file, object and field, and nothing changes. Namespaces and
    CustomResourceDefinitions come before all others, since the others cannot be judged without
    them.
  - Objects that an earlier run applied for the same set and that are no longer given are removed.
    The set's objects are kept in a ConfigMap C(hybrid-mesh-set-NAME). Each also carries the label
    C(hybrid.mesh/set), without which it is left alone. Namespaces and CustomResourceDefinitions are
    never removed, as all that is in them would go, too.
  - It is to a cluster what M(hybrid.mesh.mesh_config) is to the embedded control plane.
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
attributes:
  check_mode:
    support: full
    details:
      - The cluster is asked by dry runs. An object of a namespace or kind that the same set is
        about to make cannot be judged before that.
  diff_mode:
    support: full
    details: The content of a Secret is not shown.
  idempotent:
    support: full
options:
  objects:
    description:
      - File name to content. A content is YAML with any number of documents, or a list of objects.
      - Ansible logs a module's options. Run the task with C(no_log) V(true) where there is a Secret
        among the objects.
    type: dict
    required: true
  set:
    description: Name of the set, a part of a Kubernetes name.
    type: str
    required: true
  record_namespace:
    description: Namespace of the ConfigMap in which the set's objects are kept. It has to exist.
    type: str
    default: istio-system
  prune:
    description: Whether to remove objects that an earlier run applied and that are no longer given.
    type: bool
    default: true
  release:
    description:
      - Kinds of which no object is removed. One that an earlier run applied and that is no longer
        given stays, and is of the set no more.
    type: list
    elements: str
    default: []
  force_conflicts:
    description:
      - Whether to take over fields that somebody else manages and has set to another value.
      - Without it they are failures that name the field and its manager.
    type: bool
    default: false
  state:
    description: Whether the set is to be there. With V(absent), all that it applied is removed.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Whether to wait until objects that are removed are gone.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 120
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Give the cluster the objects of the shop
  hybrid.mesh.cluster_config:
    kubeconfig: ~/.kube/shop
    set: shop
    objects:
      shop.yaml: "{{ lookup('ansible.builtin.file', 'objects/shop.yaml') }}"
      groups.yaml: "{{ groups['mesh_workloads'] | map('extract', hostvars)
        | hybrid.mesh.workload_groups }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
created:
  description: Objects that are new, C(KIND NAMESPACE/NAME) each.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: [VirtualService shop/api]
updated:
  description: Objects that changed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
deleted:
  description: Objects that were removed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
unchanged:
  description: How many of the given objects were as wanted.
  returned: when the cluster was asked
  type: int
  sample: 12
failures:
  description: What the cluster refused.
  returned: when the cluster was asked
  type: list
  elements: dict
  sample:
    - kind: VirtualService
      object: shop/api
      file: shop.yaml
      fields: [spec.http]
      reason: Invalid
      message: 'spec.http[0].route: Required value'
not_tried:
  description: Objects that were not sent, because they would have failed as others did.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
problems:
  description: What is wrong with the files. Nothing was sent.
  returned: when files are wrong
  type: list
  elements: str
  sample:
    - "shop.yaml: document 2: kind: expected a value, found none"
"""

import functools
import itertools
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    apply,
    configure,
    documents,
    names,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import module as shell
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.connection import connect
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.documents import Document
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import SET
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.record import (
    Record,
    Reference,
)

_KEPT = ("Namespace", "CustomResourceDefinition")
_POLL_SECONDS = 1.0


class Run:
    """One run of the module: what was planned and done so far.

    ``claim`` is called before the first change.
    """

    def __init__(self, module: AnsibleModule, api: Api, claim: t.Callable[[], None]) -> None:
        self.module = module
        self.api = api
        self._claim: t.Callable[[], None] | None = claim
        self.plans: list[configure.Plan] = []
        self.outcomes: list[apply.Outcome] = []
        self.refused: list[dict[str, t.Any]] = []

    @property
    def sound(self) -> bool:
        """Whether nothing was refused and nothing failed so far."""
        return not self.refused and all(outcome.done for outcome in self.outcomes)

    def bring(self, wanted: t.Sequence[Document]) -> None:
        """Judge and apply the documents, those first that others need."""
        first = [d for d in wanted if documents.rank(d.kind) < 2]
        rest = [d for d in wanted if documents.rank(d.kind) >= 2]
        for stage in (first, rest):
            planned = configure.plan(
                self.api, stage, self._to_come(), self.module.params["force_conflicts"]
            )
            self.plans += planned
            self.refused += [_refusal(plan) for plan in planned if plan.error is not None]
            if self.refused:
                return
            for _rank, group in itertools.groupby(sorted(planned, key=_rank_of), key=_rank_of):
                self._make([plan.change for plan in group if plan.change is not None])
            if not self.sound:
                return

    def remove(self, references: t.Iterable[Reference]) -> None:
        """Remove objects of the set, those last that others need."""
        changes = []
        for version, kind, namespace, name in sorted(references):
            if kind in _KEPT:
                self.module.warn(f"{kind} {name} stays: with it, all that is in it would go")
                continue
            if kind in self.module.params["release"]:
                self.module.warn(f"{kind} {namespace}/{name} stays, and is of the set no more")
                continue
            path = self._path(version, kind, namespace, name)
            before = path and self.api.find(path)
            labels = ((before or {}).get("metadata") or {}).get("labels") or {}
            if path and before and labels.get(SET) == self.module.params["set"]:
                changes.append(apply.Change(kind, path, before, None))
        changes.sort(key=lambda change: -documents.rank(change.kind))
        for _rank, group in itertools.groupby(changes, key=lambda c: documents.rank(c.kind)):
            self._make(list(group))

    def wait(self) -> None:
        """Wait until what was removed is gone; what is not is a failure."""
        deadline = time.monotonic() + self.module.params["wait_timeout"]
        left = [o for o in self.outcomes if o.done and o.change.body is None]
        while left:
            left = [outcome for outcome in left if self.api.find(outcome.change.path) is not None]
            if left and time.monotonic() >= deadline:
                self.refused += [
                    shell.failure(
                        outcome.change.kind,
                        outcome.change.name,
                        "expected to be gone, found still there after "
                        f"{self.module.params['wait_timeout']} s",
                        reason="Timeout",
                    )
                    for outcome in left
                ]
                return
            if left:
                time.sleep(_POLL_SECONDS)

    def result(self) -> dict[str, t.Any]:
        """What was done, as the module returns it."""
        unchanged = sum(plan.change is None and plan.error is None for plan in self.plans)
        found = shell.summary(self.outcomes, unchanged, kinds=True)
        files = {
            f"{p.document.kind} {apply.key_of(p.document.body)}": p.document.file
            for p in self.plans
        }
        for entry in found["failures"]:
            entry["file"] = files.get(f"{entry['kind']} {entry['object']}", "")
        found["failures"] = self.refused + found["failures"]
        return found

    def _make(self, changes: t.Sequence[apply.Change]) -> None:
        if changes and self._claim is not None:
            self._claim()
            self._claim = None
        # Without a path, it needs something that only exists once this is no check mode any more.
        foreseen = [change for change in changes if not change.path]
        self.outcomes += [apply.Outcome(change, after=change.body) for change in foreseen]
        self.outcomes += apply.execute(
            self.api,
            [change for change in changes if change.path],
            dry_run=self.module.check_mode,
            force=self.module.params["force_conflicts"],
        )

    def _path(self, version: str, kind: str, namespace: str, name: str) -> str | None:
        """None for a kind that the cluster no longer has: its objects went with it."""
        try:
            return self.api.path_of(version, kind, namespace, name)
        except ClusterError as exc:
            if exc.status == 404:
                return None
            raise

    def _to_come(self) -> set[str]:
        """Namespaces and kinds that check mode did not make."""
        if not self.module.check_mode:
            return set()
        found = set()
        for plan in self.plans:
            body = plan.document.body
            if plan.change is not None and plan.change.before is None:
                if plan.document.kind == "Namespace":
                    found.add(body["metadata"]["name"])
                if plan.document.kind == "CustomResourceDefinition":
                    found.add(((body.get("spec") or {}).get("names") or {}).get("kind"))
        return found


def _keep(module: AnsibleModule, record: Record, references: t.Iterable[Reference]) -> None:
    """Write the record; in check mode, have it judged."""
    try:
        record.write(references, dry_run=module.check_mode)
    except ClusterError as exc:
        # A namespace that is missing may be about to be made by a task before this one.
        if not (module.check_mode and exc.status == 404):
            raise
        module.warn(str(exc))


def _rank_of(plan: configure.Plan) -> int:
    return documents.rank(plan.document.kind)


def _refusal(plan: configure.Plan) -> dict[str, t.Any]:
    error = plan.error
    document = plan.document
    entry = shell.failure(
        document.kind,
        apply.key_of(document.body),
        f"{document.file}: {error}",
        error.fields if error else (),
        error.reason if error else "",
    )
    return {**entry, "file": document.file}


def main() -> None:
    """Read, have it judged, apply, and remove what is no longer given."""
    module = shell.cluster_module(
        {
            "objects": {"type": "dict", "required": True},
            "set": {"type": "str", "required": True},
            "record_namespace": {"type": "str", "default": "istio-system"},
            "prune": {"type": "bool", "default": True},
            "release": {"type": "list", "elements": "str", "default": []},
            "force_conflicts": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
        },
    )
    params = module.params
    try:
        api = connect(params)
        given = params["objects"] if params["state"] == "present" else {}
        wanted, problems = documents.read(given)
        problems += names.name("set", params["set"])
        if problems:
            module.fail_json(
                msg=f"objects: nothing was sent: {'; '.join(problems)}", problems=problems
            )
        wanted = [configure.labelled(document, params["set"]) for document in wanted]
        record = Record(api, params["set"], params["record_namespace"])
        before, after = record.read(), {document.reference for document in wanted}
        keep = functools.partial(_keep, module, record)
        run = Run(module, api, lambda: keep(before | after))
        run.bring(wanted)
        prunes = params["prune"] or params["state"] == "absent"
        if run.sound and prunes:
            run.remove(before - after)
        claims = run.sound and before != (after if prunes else before | after)
        if claims:
            keep(after if prunes else before | after)
        if params["wait"] and not module.check_mode:
            run.wait()
    except ClusterError as exc:
        module.fail_json(msg=f"set {params['set']}: {exc}")
    result = run.result()
    result["changed"] = result["changed"] or claims
    shell.finish(module, result, run.outcomes)


if __name__ == "__main__":
    main()
