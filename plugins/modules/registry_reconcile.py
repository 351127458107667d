#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_reconcile
short_description: Compare the inventory with what a cluster's Istio has registered
version_added: 0.1.0
description:
  - Finds hosts of the inventory that are not registered, entries that no host accounts for, several
    entries of one address, entries that differ from their host, and entries that nothing selects.
  - istiod removes the entry of a host that leaves. An istiod that dies at that moment does not, and
    the entry then takes calls for nobody. Such entries are removed with O(remove).
  - "What may be removed is decided strictly. Either the entry registered itself, in a group that
    the inventory names, no host of the inventory has its address and group, and there is proof that
    the host is away. Or it was made by M(hybrid.mesh.workload_entry) for the same O(set), and no
    host has its address. Everything else is reported and stays."
  - "Proof that a host is away is one of these: istiod wrote that it left; every istiod was asked,
    and none has a connection to it. The istiods are the pods of O(istio_namespace). They are asked
    by port forwarding, as istioctl asks them: that takes the verbs create and get on
    pods/portforward there. An entry that istiod says is healthy and that did not register itself
    stays."
  - Before anything is removed, the module waits O(settle) seconds and looks again. An entry goes
    only if the proof still stands, and if nothing wrote to the entry between the first look and its
    removal.
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
attributes:
  check_mode:
    support: full
    details:
      - Nothing is waited for in check mode. An entry that would be removed may prove to be alive at
        the second look.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  hosts:
    description:
      - The hosts, as the filter P(hybrid.mesh.member#filter) gives each. Used are V(name),
        V(namespace), V(group), V(address), V(network), V(labels) and V(service_account).
      - Hosts without a group never register and are left out.
      - A host that is not reached has no address, unless the inventory gives it. Entries that may
        be its own are reported and stay.
    type: list
    elements: dict
    required: true
  namespaces:
    description: Namespaces to look at beside those of the hosts.
    type: list
    elements: str
    default: []
  set:
    description:
      - Name of the set of entries that M(hybrid.mesh.workload_entry) made from this inventory.
        Without it, entries that it made are not judged.
    type: str
  remove:
    description: Whether to remove the entries that may go.
    type: bool
    default: false
  istiod_debug:
    description:
      - Debug interfaces of all istiods, C(http://HOST:PORT/debug) each. Needed where hosts connect
        to istiods that are no pods of O(istio_namespace), as those of an external control plane or
        of a revision in another namespace. Pods, if there are any, are not asked then.
      - Give all of them or none. A host that is connected to an istiod which is missing here would
        be taken for one that is away.
    type: list
    elements: str
    default: []
  istio_namespace:
    description:
      - Namespace whose pods with the label C(app=istiod) are the istiods, of all revisions.
      - When one of them does not answer, nothing is proved, and RV(superfluous) says which it was.
      - What is no such pod is not known of. Give O(istiod_debug) where a revision has its istiod in
        another namespace, where an external istiod serves beside the pods, and while a node that
        is cut off may still run an istiod whose pod was deleted by force. Hosts of those would be
        taken for ones that are away.
    type: str
    default: istio-system
  settle:
    description:
      - Seconds that hosts get to connect to another istiod, or to one that was restarted.
    type: int
    default: 60
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Compare
  hybrid.mesh.registry_reconcile:
    kubeconfig: "{{ mesh_kubeconfig }}"
    hosts: "{{ groups['mesh_workloads'] | map('extract', hostvars) | map('hybrid.mesh.member') }}"
  delegate_to: localhost
  run_once: true
  register: registry

- name: Be sure of it
  ansible.builtin.assert:
    that: registry.consistent

- name: Remove what hosts left behind
  hybrid.mesh.registry_reconcile:
    kubeconfig: "{{ mesh_kubeconfig }}"
    hosts: "{{ groups['mesh_workloads'] | map('extract', hostvars) | map('hybrid.mesh.member') }}"
    remove: true
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
consistent:
  description: Whether nothing differed, before anything was removed.
  returned: success
  type: bool
  sample: false
unregistered:
  description: Hosts without an entry.
  returned: success
  type: list
  elements: dict
  sample:
    - host: api-2
      namespace: shop
      group: api
      address: 10.0.1.12
unknown:
  description: Hosts without an address. Nothing says which entries are theirs.
  returned: success
  type: list
  elements: str
  sample: [api-3]
superfluous:
  description:
    - Entries that no host accounts for. V(proof) says why one may go, V(kept) why it stays.
  returned: success
  type: list
  elements: dict
  sample:
    - entry: shop/api-10.0.1.13-net1
      address: 10.0.1.13
      proof: no istiod has a connection to it
      kept: ""
duplicates:
  description: Several entries of one address on one network.
  returned: success
  type: list
  elements: dict
  sample:
    - address: 10.0.1.11
      network: net1
      entries: [shop/api-10.0.1.11-net1, shop/web-10.0.1.11-net1]
wrong:
  description: Fields in which an entry differs from its host.
  returned: success
  type: list
  elements: dict
  sample:
    - entry: shop/api-10.0.1.11-net1
      host: api-1
      field: labels.app
      expected: api
      found: apj
unselected:
  description: Entries with ports that no Service and no ServiceEntry selects. Nobody calls them.
  returned: success
  type: list
  elements: dict
  sample:
    - entry: shop/api-10.0.1.11-net1
      closest: Service api would, with app=api
removed:
  description: Entries that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: []
failures:
  description: Entries that could not be removed.
  returned: success
  type: list
  elements: dict
  sample: []
not_tried:
  description: Entries that were not tried to remove, because they would have failed as others did.
  returned: success
  type: list
  elements: str
  sample: []
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    apply,
    fields,
    liveness,
    reconcile,
    survey,
    workloads,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import module as shell
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.connection import connect
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import SET

Live = t.Dict[str, Object]


def fetch(url: str) -> bytes:
    """The body that a URL gives. Raises OSError."""
    body: bytes = open_url(url, timeout=10).read()
    return body


def ask(module: AnsibleModule, api: Api) -> liveness.Evidence:
    """What all istiods say about who is connected."""
    params = module.params
    if params["istiod_debug"]:
        return liveness.Evidence(survey.connected(params["istiod_debug"], fetch))
    try:
        return liveness.Evidence(survey.connected_pods(api, params["istio_namespace"]))
    except ClusterError as exc:
        return liveness.Evidence(unasked=str(exc))


def look(
    module: AnsibleModule, api: Api, hosts: list[reconcile.Host]
) -> tuple[Live, reconcile.Report]:
    """The entries as they are now, and how they compare with the hosts."""
    namespaces = {host.namespace for host in hosts} | set(module.params["namespaces"])
    live = survey.entries(api, namespaces)

    def made(workload: workloads.Workload) -> bool:
        name = module.params["set"]
        return bool(name) and workload.labels.get(SET) == name and fields.ours(live[workload.key])

    selectors = None
    try:
        selectors = survey.selectors(api, namespaces)
    except ClusterError as exc:
        if exc.status != 403:
            raise
        module.warn(f"it is not known what selects the entries: {exc}")
    found = [workloads.from_entry(entry) for entry in live.values()]

    def compare(evidence: liveness.Evidence) -> reconcile.Report:
        return reconcile.compare(hosts, found, selectors, evidence, made)

    report = compare(liveness.Evidence())
    if any(s.entry.group and not s.proof for s in report.superfluous):
        report = compare(ask(module, api))
    return live, report


def removable(live: Live, report: reconcile.Report) -> Live:
    """The entries that may go."""
    return {s.entry.key: live[s.entry.key] for s in report.superfluous if s.proof}


def steady(before: Live, after: Live) -> Live:
    """Those of ``after`` to which nothing was written since ``before``."""

    def version(live: Live, key: str) -> t.Any:
        return live[key]["metadata"]["resourceVersion"]

    return {
        key: entry
        for key, entry in after.items()
        if key in before and version(before, key) == version(after, key)
    }


def as_result(report: reconcile.Report) -> dict[str, t.Any]:
    """The report as the module returns it."""
    return {
        "consistent": report.consistent,
        "unregistered": [
            {"host": h.name, "namespace": h.namespace, "group": h.group, "address": h.address}
            for h in report.unregistered
        ],
        "unknown": [host.name for host in report.unknown],
        "superfluous": [
            {"entry": s.entry.key, "address": s.entry.address, "proof": s.proof, "kept": s.kept}
            for s in report.superfluous
        ],
        "duplicates": [
            {
                "address": found[0].address,
                "network": found[0].network,
                "entries": [entry.key for entry in found],
            }
            for found in report.duplicates
        ],
        "wrong": [
            {
                "entry": w.entry.key,
                "host": w.host.name,
                "field": w.field,
                "expected": w.expected,
                "found": w.found,
            }
            for w in report.wrong
        ],
        "unselected": [
            {"entry": entry.key, "closest": closest} for entry, closest in report.unselected
        ],
    }


def main() -> None:
    """Compare, and remove what may go."""
    module = shell.cluster_module(
        {
            "hosts": {"type": "list", "elements": "dict", "required": True},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "set": {"type": "str"},
            "remove": {"type": "bool", "default": False},
            "istiod_debug": {"type": "list", "elements": "str", "default": []},
            "istio_namespace": {"type": "str", "default": "istio-system"},
            "settle": {"type": "int", "default": 60},
        },
    )
    outcomes: list[apply.Outcome] = []
    try:
        given = [reconcile.read_host(i, host) for i, host in enumerate(module.params["hosts"])]
        hosts = [host for host in given if host is not None]
        api = connect(module.params)
        live, report = look(module, api, hosts)
        going = removable(live, report) if module.params["remove"] else {}
        if going and not module.check_mode:
            time.sleep(module.params["settle"])
            going = steady(going, removable(*look(module, api, hosts)))
        changes = apply.to_delete("WorkloadEntry", sorted(going), going)
        outcomes = apply.execute(api, changes, dry_run=module.check_mode, steady=True)
    except (ClusterError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    done = shell.summary(outcomes, unchanged=0)
    result = {
        "changed": done["changed"],
        "removed": done["deleted"],
        "failures": done["failures"],
        "not_tried": done["not_tried"],
        **as_result(report),
    }
    shell.finish(module, result, outcomes)


if __name__ == "__main__":
    main()
