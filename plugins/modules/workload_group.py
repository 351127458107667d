#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_group
short_description: Make the groups in which machines register themselves with a cluster's Istio
version_added: 0.1.0
description:
  - Makes one WorkloadGroup for each group of a list, or removes it.
  - A host's agent names its group when it connects, and istiod makes the host's WorkloadEntry from
    it. Entries that exist already do not follow a change of their group until their host connects
    again.
  - All values are checked before anything is sent. Then one request lists what is there, and only
    what differs is sent, by server-side apply with the field manager C(hybrid.mesh).
  - A group that the cluster refuses does not keep the others back. The module then fails at the
    end, names each of them with the field and the reason, and says what was done.
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
  - hybrid.mesh.registry
attributes:
  check_mode:
    support: full
    details:
      - What would be sent is sent as a dry run, so the cluster's own checks are made, too. A group
        of a namespace or a service account that does not exist is a warning then and counts as
        created, since a task before may be about to make it. In a run it is a failure.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  groups:
    description: The groups.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the object.
        type: str
        required: true
      namespace:
        description: Namespace of the object, and of the hosts that register in it.
        type: str
      ports:
        description: Ports of its hosts, as in C(mesh_ports).
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the port, by which a Service's C(targetPort) finds it.
            type: str
            required: true
          port:
            description: Number of the port.
            type: int
            required: true
          protocol:
            description: Taken, so that C(mesh_ports) can be given, but not part of the object.
            type: str
      labels:
        description: Labels of its hosts' entries. A host's own labels go before them.
        type: dict
      annotations:
        description: Annotations of its hosts' entries.
        type: dict
      network:
        description: Network that its hosts stand on. A host's own goes before it.
        type: str
      locality:
        description: Where its hosts are, as C(REGION/ZONE/SUBZONE).
        type: str
      weight:
        description: Share of the calls of each host, relative to the other endpoints.
        type: int
      service_account:
        description: Identity of its hosts. A host with another one is not registered.
        type: str
      probe:
        description:
          - How the agents find out whether the application answers, as Istio's API spells it.
            Hosts that do not answer get no calls.
        type: dict
      members:
        description: How many hosts O(wait) waits for.
        type: int
        default: 0
  wait:
    description:
      - O(groups[].members) hosts of each group have to be registered and connected, and healthy
        where the group has a probe. Groups that are removed have to be gone.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Let the hosts of the shop register
  hybrid.mesh.workload_group:
    kubeconfig: ~/.kube/shop
    namespace: shop
    groups:
      - name: orders
        ports:
          - name: http
            port: 8080
        labels:
          app: orders
        service_account: orders
        probe:
          httpGet:
            path: /healthz
            port: 8080
  delegate_to: localhost
  run_once: true

- name: Wait until three hosts take calls
  hybrid.mesh.workload_group:
    namespace: shop
    groups:
      - name: orders
        labels:
          app: orders
        service_account: orders
        members: 3
    wait: true
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
created:
  description: Groups that are new, C(NAMESPACE/NAME) each.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: [shop/orders]
updated:
  description: Groups that changed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
deleted:
  description: Groups that were removed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
unchanged:
  description: How many of the given groups were as wanted.
  returned: when the cluster was asked
  type: int
  sample: 1
failures:
  description: Groups that failed.
  returned: when the cluster was asked
  type: list
  elements: dict
  sample:
    - kind: WorkloadGroup
      object: shop/orders
      fields: [spec.template.serviceAccount]
      reason: ServiceAccountNotFound
      message: "spec.template.serviceAccount: expected a ServiceAccount of the namespace shop, found
        'orders', which does not exist there"
not_tried:
  description: Groups that were not sent, because they would have failed as others did.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
problems:
  description: What is wrong with the values. Nothing was sent.
  returned: when values are wrong
  type: list
  elements: str
  sample:
    - "groups[0] (shop/orders).ports[1].name: expected each name once, found 'http' twice (80 and
      8080)"
"""

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    apply,
    health,
    objects,
    registry,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object


def short_of_members(
    wanted: t.Mapping[str, int], groups: t.Mapping[str, Object], entries: t.Iterable[Object]
) -> dict[str, str]:
    """Group -> what it lacks. ``wanted`` and ``groups`` are by ``NAMESPACE/NAME``."""
    entries = list(entries)
    found = {}
    for key, number in wanted.items():
        namespace, _slash, name = key.partition("/")
        connected = health.members(
            name, [e for e in entries if e["metadata"]["namespace"] == namespace]
        )
        serving = [e for e in connected if health.health(e) in ("healthy", "unchecked")]
        probed = " and healthy" if (groups.get(key) or {}).get("spec", {}).get("probe") else ""
        if len(serving) < number:
            found[key] = (
                f"expected {number} hosts connected{probed}, found {len(connected)} connected, "
                f"{len(serving)} of them serving"
            )
    return found


def main() -> None:
    """Check, and bring the registry to the groups."""
    module = registry.registry_module("groups", objects.GROUP_OPTIONS)
    params = module.params
    bodies, problems = objects.workload_groups(
        params["groups"],
        params["namespace"],
        params["set"],
        names_only=params["state"] == "absent",
    )
    keys = [apply.key_of(body) for body in bodies]
    wanted = {key: params["groups"][index]["members"] for index, key in enumerate(keys)}

    def pending(api: Api) -> registry.Pending:
        namespaces = {body["metadata"]["namespace"] for body in bodies}

        def left(live: t.Mapping[str, Object]) -> dict[str, str]:
            entries = apply.registered(api, "WorkloadEntry", namespaces)
            return short_of_members(wanted, live, entries.values())

        return left

    registry.run(module, "WorkloadGroup", bodies, problems, pending)


if __name__ == "__main__":
    main()
