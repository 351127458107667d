#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_entry
short_description: Register workloads of machines in a cluster's Istio, thousands at a time
version_added: 0.1.0
description:
  - Makes one WorkloadEntry for each entry of a list, or removes it.
  - All values are checked before anything is sent. Then one request lists what is there, and only
    what differs is sent, by server-side apply with the field manager C(hybrid.mesh), over several
    connections at a time. A run that has nothing to change sends nothing.
  - An entry that the cluster refuses does not keep the others back. The module then fails at the
    end, names each of them with the field and the reason, and says what was done. The next run does
    what is left.
  - A host whose agent registers itself needs no entry from here, only a group
    (M(hybrid.mesh.workload_group)).
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
  - hybrid.mesh.registry
attributes:
  check_mode:
    support: full
    details:
      - What would be sent is sent as a dry run, so the cluster's own checks are made, too. An entry
        of a namespace or a service account that does not exist is a warning then and counts as
        created, since a task before may be about to make it. In a run it is a failure.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  entries:
    description: The entries.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the object.
        type: str
        required: true
      namespace:
        description: Namespace of the object.
        type: str
      address:
        description:
          - IP address, DNS name or C(unix:///PATH) of the workload.
          - It may be left out for a workload behind the gateway of its O(entries[].network).
        type: str
      ports:
        description: The workload's ports, as in C(mesh_ports).
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
        description: Labels by which a Service or ServiceEntry selects the workload.
        type: dict
      annotations:
        description: Annotations of the object.
        type: dict
      network:
        description:
          - Network that the workload stands on.
          - Istio takes an entry without one as reachable from every network.
        type: str
      locality:
        description: Where the workload is, as C(REGION/ZONE/SUBZONE).
        type: str
      weight:
        description: Its share of the calls, relative to the other endpoints.
        type: int
      service_account:
        description:
          - The workload's identity.
          - Calls to an entry without one are not encrypted by Istio.
        type: str
  wait:
    description:
      - Entries that are annotated C(proxy.istio.io/health-checks-enabled) have to be healthy.
        Entries that are removed have to be gone.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Register the databases
  hybrid.mesh.workload_entry:
    kubeconfig: ~/.kube/shop
    namespace: shop
    entries:
      - name: orders-1
        address: 10.0.12.7
        ports:
          - name: tcp-postgres
            port: 5432
        labels:
          app: orders-db
        network: datacentre-1
        service_account: orders-db
  delegate_to: localhost
  run_once: true

- name: Register a list, and remove what an earlier list had and this one does not
  hybrid.mesh.workload_entry:
    namespace: shop
    entries: "{{ printers }}"
    set: printers
    prune: true
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
created:
  description: Entries that are new, C(NAMESPACE/NAME) each.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: [shop/orders-1]
updated:
  description: Entries that changed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
deleted:
  description: Entries that were removed.
  returned: when the cluster was asked
  type: list
  elements: str
  sample: []
unchanged:
  description: How many of the given entries were as wanted.
  returned: when the cluster was asked
  type: int
  sample: 999
failures:
  description: Entries that failed.
  returned: when the cluster was asked
  type: list
  elements: dict
  sample:
    - kind: WorkloadEntry
      object: shop/orders-2
      fields: [spec.address]
      reason: Invalid
      message: 'spec.address: Invalid value: "string": UDS must be an absolute path'
not_tried:
  description:
    - Entries that were not sent, because they would have failed as others did. The API server was
      away, or a verb forbidden.
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
    - "entries[0] (shop/orders-1).address: expected an IP address, a DNS name or unix:///PATH, found
      '10.0.12'"
"""

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import (
    apply,
    health,
    objects,
    registry,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api


def main() -> None:
    """Check, and bring the registry to the entries."""
    module = registry.registry_module("entries", objects.ENTRY_OPTIONS)
    params = module.params
    bodies, problems = objects.workload_entries(
        params["entries"],
        params["namespace"],
        params["set"],
        names_only=params["state"] == "absent",
    )
    keys = [apply.key_of(body) for body in bodies]

    def pending(_api: Api) -> registry.Pending:
        return lambda live: health.unhealthy({key: live[key] for key in keys if key in live})

    registry.run(module, "WorkloadEntry", bodies, problems, pending)


if __name__ == "__main__":
    main()
