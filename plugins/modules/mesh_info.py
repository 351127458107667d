#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_info
short_description: Show what a cluster says about its mesh
version_added: 0.1.0
description:
  - Reads control planes, mesh configuration, networks, root certificates, WorkloadGroups and
    WorkloadEntries from a cluster.
  - On request it tries what joining hosts will do, so that faults are found before a host is
    touched.
  - It judges nothing. What the user of the kubeconfig may not see is left out and listed in
    RV(unread). Only an API server that cannot be asked makes it fail.
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  namespaces:
    description:
      - Namespaces to look into.
      - Without them, all that hold a WorkloadGroup or a WorkloadEntry.
    type: list
    elements: str
    default: []
  istio_namespace:
    description: Namespace of istiod.
    type: str
    default: istio-system
  revision:
    description: Revision of istiod whose configuration is read.
    type: str
    default: default
  root_config_map:
    description: ConfigMap in each workload's namespace that holds the mesh's root certificate.
    type: str
    default: istio-ca-root-cert
  identities:
    description:
      - Service accounts to try. A token of each is issued, given to the API server for review as
        istiod does it, and forgotten.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Its namespace.
        type: str
        required: true
      service_account:
        description: Its name.
        type: str
        required: true
  audience:
    description: Audience of these tokens.
    type: str
    default: istio-ca
  connect:
    description: V(HOST:PORT) of control planes, to see from here what they present over TLS.
    type: list
    elements: str
    default: []
  server_name:
    description: Name to ask them for (SNI), instead of the one that follows from the configuration.
    type: str
  permissions:
    description: Whether to look for what this collection needs and the user may not do.
    type: bool
    default: false
  objects:
    description:
      - Objects that M(hybrid.mesh.cluster_config) will be given
        (O(hybrid.mesh.cluster_config#module:objects)). O(permissions) looks for what it takes to
        apply them.
    type: dict
    default: {}
  set:
    description: Name of their set (O(hybrid.mesh.cluster_config#module:set)).
    type: str
    default: mesh
seealso:
  - module: hybrid.mesh.workload_bootstrap
  - module: hybrid.mesh.proxy_info
    description: The same for a host.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Look at the mesh
  hybrid.mesh.mesh_info:
    kubeconfig: ~/.kube/config
  delegate_to: localhost
  register: mesh

- name: See whether hosts could join
  hybrid.mesh.mesh_info:
    namespaces: [shop]
    identities:
      - {namespace: shop, service_account: api}
    connect: ["192.0.2.10:15012"]
    permissions: true
  delegate_to: localhost
  register: mesh
  failed_when: >-
    mesh.connections | selectattr('problem') is any
    or mesh.identities | selectattr('problem') is any
    or mesh.missing_permissions | rejectattr('optional') is any
"""

RETURN = r"""
control_planes:
  description: Each istiod of O(istio_namespace).
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: Its revision.
      type: str
      sample: default
    version:
      description: Its version, empty when the objects do not say.
      type: str
      sample: 1.28.0
    service:
      description: Name of its Service.
      type: str
      sample: istiod
    addresses:
      description: V(HOST:PORT) at which its Service is reached from outside the cluster.
      type: list
      elements: str
      sample: []
    replicas:
      description: Replicas that are ready, V(null) when its Deployment was not read.
      type: int
      sample: 1
    audiences:
      description: Audiences of tokens that it accepts, empty when its Deployment was not read.
      type: list
      elements: str
      sample: [istio-ca]
mesh:
  description: The mesh's configuration.
  returned: success
  type: dict
  contains:
    trust_domain:
      description: First part of every identity.
      type: str
      sample: cluster.local
    mesh_id:
      description: The mesh's ID.
      type: str
      sample: mesh1
    discovery_address:
      description: Where proxies are told that istiod is.
      type: str
      sample: istiod.istio-system.svc:15012
    server_name:
      description: The name that istiod's certificate must have.
      type: str
      sample: istiod.istio-system.svc
    cluster_id:
      description: The cluster's ID, empty when it is not known.
      type: str
      sample: cluster1
    network:
      description:
        - The label C(topology.istio.io/network) of O(istio_namespace), empty without one.
        - V(null) when it was not read.
      type: str
      sample: network-1
    config:
      description: MeshConfig as it is written, V(null) when it was not read.
      type: dict
      sample: {trustDomain: cluster.local}
networks:
  description:
    - Networks that have a gateway.
    - Of a user who may not list all Services, those whose gateway is in O(istio_namespace).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The network.
      type: str
      sample: network-1
    gateways:
      description: Addresses of its gateways, and where each is from.
      type: list
      elements: dict
      sample: [{address: "192.0.2.10:15443", source: Service istio-system/istio-eastwestgateway}]
namespaces:
  description: What O(namespaces) hold.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The namespace.
      type: str
      sample: shop
    root_certificate:
      description:
        - C(pem), the text of O(root_config_map), and C(certificates), each with C(subject),
          C(sha256), C(serial), C(not_before) and C(not_after).
        - V(null) when it was not read.
      type: dict
      sample: {pem: "-----BEGIN CERTIFICATE-----...", certificates: [{sha256: 5f1c...}]}
    workload_groups:
      description: WorkloadGroups, with the entries that registered with them by health.
      type: list
      elements: dict
      sample:
        - name: api
          service_account: api
          network: network-1
          labels: {app: api}
          ports: {http: 8080}
          probe: true
          entries: {total: 2, healthy: 2, unhealthy: 0, unknown: 0, unchecked: 0}
    workload_entries:
      description:
        - All WorkloadEntries by health.
        - V(unchecked) are those that nobody probes, which istiod takes for healthy. V(unknown) are
          those without a first report.
      type: dict
      sample: {total: 2, healthy: 2, unhealthy: 0, unknown: 0, unchecked: 0}
identities:
  description: What became of O(identities).
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the service account.
      type: str
      sample: shop
    service_account:
      description: Its name.
      type: str
      sample: api
    accepted:
      description: Whether istiod will accept its tokens, V(null) when that could not be tried.
      type: bool
      sample: true
    problem:
      description: Why not, empty when all is well.
      type: str
      sample: ""
connections:
  description: What O(connect) presented.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      type: str
      sample: "192.0.2.10:15012"
    server_names:
      description: Names in the certificate.
      type: list
      elements: str
      sample: [istiod.istio-system.svc]
    certificate:
      description: C(sha256), C(serial), C(not_before) and C(not_after) of the certificate.
      type: dict
      sample: {serial: 1f2e}
    trusted:
      description:
        - Whether it chains to the root certificate of the first namespace that has one.
        - V(null) when there is none.
      type: bool
      sample: true
    problem:
      description: What is not as it should be, empty when all is well.
      type: str
      sample: ""
missing_permissions:
  description:
    - With O(permissions), what the user needs and may not do.
    - Hosts join without what is C(optional).
  returned: success
  type: list
  elements: dict
  sample:
    - text: patch workloadentries.networking.istio.io in namespace shop
      verb: patch
      group: networking.istio.io
      resource: workloadentries
      subresource: ""
      name: ""
      namespace: shop
      purpose: register hosts and take them away
      optional: false
unread:
  description: What could not be read, and why.
  returned: success
  type: list
  elements: str
  sample: []
"""

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import certificates, tokens
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import Reader
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.survey import Survey
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import connection, documents
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.module import cluster_module

OPTIONS = {
    "namespaces": {"type": "list", "elements": "str", "default": []},
    "istio_namespace": {"type": "str", "default": "istio-system"},
    "revision": {"type": "str", "default": "default"},
    "root_config_map": {"type": "str", "default": "istio-ca-root-cert"},
    "identities": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "namespace": {"type": "str", "required": True},
            "service_account": {"type": "str", "required": True},
        },
    },
    "audience": {"type": "str", "default": "istio-ca"},
    "connect": {"type": "list", "elements": "str", "default": []},
    "server_name": {"type": "str"},
    "permissions": {"type": "bool", "default": False},
    "objects": {"type": "dict", "default": {}},
    "set": {"type": "str", "default": "mesh"},
}


def collect(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Everything the module returns. Raises ClusterError."""
    given, problems = documents.read(params["objects"])
    if problems:
        raise ClusterError(f"objects: {'; '.join(problems)}")
    reader = Reader(connection.connect(params))
    plane = ControlPlane(reader, Revision(params["revision"], params["istio_namespace"]))
    survey = Survey(plane, params["root_config_map"])
    mesh = survey.mesh()
    names = params["namespaces"] or survey.workload_namespaces()
    namespaces = survey.namespaces(names)
    root = next(
        (entry["root_certificate"]["pem"] for entry in namespaces if entry["root_certificate"]),
        None,
    )
    server_name = params["server_name"] or mesh["server_name"]
    subjects = [(one["namespace"], one["service_account"]) for one in params["identities"]]
    return {
        "control_planes": survey.control_planes(),
        "mesh": mesh,
        "networks": survey.networks(),
        "namespaces": namespaces,
        "identities": survey.identities(subjects, params["audience"], tokens.SHORTEST_SECONDS),
        "connections": [
            certificates.presented(address, server_name, root) for address in params["connect"]
        ],
        "missing_permissions": survey.missing_permissions(
            names, params["set"], [document.body for document in given]
        )
        if params["permissions"]
        else [],
        "unread": survey.unread,
    }


def main() -> None:
    """Look, and return what was seen."""
    module = cluster_module(OPTIONS)
    try:
        result = collect(module.params)
    except ClusterError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
