#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: workload_bootstrap
short_description: Get from a cluster what hosts need to join its mesh
version_added: 0.1.0
description:
  - Gives for each host a token, the mesh's root certificate, the addresses of the control plane and
    the mesh's configuration, as C(istioctl x workload entry configure) writes them into files.
  - Everything stays in memory. The result holds tokens, so run the task with C(no_log) V(true).
    Where that was forgotten, a result with tokens is hidden all the same. It does not run with
    C(async), where that could not be done.
  - All hosts of a run are one call. Hosts of the same service account share a token.
  - Each token is tried with a TokenReview, as istiod will do it, before it is returned.
  - A host that cannot be served does not keep the others back. The module then fails, names each of
    them with the reason, and returns what the others need.
extends_documentation_fragment:
  - hybrid.mesh.attributes
  - hybrid.mesh.cluster
attributes:
  check_mode:
    support: full
    details: No token is issued; V(token) is V(null) everywhere.
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
    details:
      - Nothing in the cluster changes, since the API server keeps no record of a token.
      - Every run issues new tokens.
  platform:
    platforms: posix
options:
  hosts:
    description: Who joins.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The caller's own label. It comes back with the bundle.
        type: str
        required: true
      namespace:
        description: Namespace of the workload.
        type: str
        required: true
      group:
        description:
          - WorkloadGroup to register with. It gives service account, network, labels, ports and
            probe.
          - Without it, the host does not register, as a gateway does not.
        type: str
      service_account:
        description:
          - Service account of the workload, instead of the group's.
          - V(default) where neither the host nor the group names one.
        type: str
      network:
        description: Network of the host, instead of the group's.
        type: str
      internal_address:
        description: Address of the workload on its own network (C(--internalIP) of istioctl).
        type: str
      external_address:
        description:
          - Address of the workload that others use, not on the host itself (C(--externalIP) of
            istioctl). It excludes O(hosts[].internal_address).
        type: str
      token:
        description: Whether the host gets a token. One that has a valid certificate needs none.
        type: bool
        default: true
  istio_namespace:
    description: Namespace of istiod.
    type: str
    default: istio-system
  revision:
    description: Revision of istiod.
    type: str
    default: default
  cluster_id:
    description:
      - ID of the cluster that the tokens are of. Without it, the one in the values of the sidecar
        injector.
      - It has to be one that istiod knows, the cluster's own or one of its remote secrets.
    type: str
  audience:
    description: Audience of the tokens. istiod accepts V(istio-ca) unless it is told otherwise.
    type: str
    default: istio-ca
  token_lifetime_seconds:
    description: How long a token can be used. The API server gives at least 600, and may give more.
    type: int
    default: 3600
  root_config_map:
    description: ConfigMap in each workload's namespace that holds the mesh's root certificate.
    type: str
    default: istio-ca-root-cert
  wait_timeout:
    description:
      - Seconds to wait for O(root_config_map). istiod writes it into a new namespace after a
        moment.
    type: int
    default: 20
  control_plane_addresses:
    description:
      - V(HOST:PORT) at which hosts reach istiod, when they are not to be found in the cluster.
    type: list
    elements: str
    default: []
  gateway:
    description:
      - Service that brings hosts to istiod, V(NAME) or V(NAME.NAMESPACE), unless istiod's own
        Service has an address outside the cluster.
      - Its load balancer's addresses count first, then its C(externalIPs), then its node port.
    type: str
    default: istio-eastwestgateway
  autoregister:
    description: Whether hosts of a group register by themselves.
    type: bool
    default: true
  capture_dns:
    description: Whether hosts resolve names of the mesh.
    type: bool
    default: true
seealso:
  - module: hybrid.mesh.join_token
    description: The same for the embedded control plane.
  - module: hybrid.mesh.mesh_info
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Get what two hosts need
  hybrid.mesh.workload_bootstrap:
    kubeconfig: ~/.kube/config
    hosts:
      - name: api-1
        namespace: shop
        group: api
      - name: db
        namespace: shop
        group: db
        network: network-2
        token: false # it has a certificate already
  delegate_to: localhost
  run_once: true
  register: bootstrap
  no_log: true
"""

RETURN = r"""
hosts:
  description: One bundle for each host that could be served, in their order.
  returned: when the cluster was asked
  type: list
  elements: dict
  contains:
    name:
      description: The label of the host.
      type: str
      sample: api-1
    namespace:
      description: Namespace of the workload.
      type: str
      sample: shop
    group:
      description: Its WorkloadGroup, V(null) without one.
      type: str
      sample: api
    service_account:
      description: Its service account.
      type: str
      sample: api
    network:
      description: Its network, empty when neither the host nor the group names one.
      type: str
      sample: network-1
    token:
      description: The token, secret. V(null) when none was wanted, and in check mode.
      type: str
      sample: eyJhbGciOiJSUzI1NiJ9...
    root_certificate:
      description: The mesh's root certificates, PEM (C(root-cert.pem)).
      type: str
      sample: "-----BEGIN CERTIFICATE-----..."
    proxy_config:
      description: The ProxyConfig of the workload (C(defaultConfig) of C(mesh.yaml)).
      type: dict
      sample: {discoveryAddress: "istiod.istio-system.svc:15012"}
    cluster_env:
      description: The variables of C(cluster.env), unquoted.
      type: dict
      sample: {ISTIO_NAMESPACE: shop, ISTIO_META_CLUSTER_ID: cluster1}
failures:
  description: Hosts that could not be served.
  returned: when the cluster was asked
  type: list
  elements: dict
  sample:
    - name: web-1
      message: WorkloadGroup shop/web does not exist
mesh:
  description: What is the same for all hosts.
  returned: when the cluster was asked
  type: dict
  contains:
    trust_domain:
      description: First part of every identity.
      type: str
      sample: cluster.local
    mesh_id:
      description: The mesh's ID; the trust domain where it has none, as istiod takes it.
      type: str
      sample: mesh1
    cluster_id:
      description: The cluster's ID.
      type: str
      sample: cluster1
    discovery_address:
      description: Where the mesh's configuration says that istiod is.
      type: str
      sample: istiod.istio-system.svc:15012
    addresses:
      description: V(HOST:PORT) at which hosts reach istiod (C(hosts), with ports).
      type: list
      elements: str
      sample: ["192.0.2.10:15012"]
    server_name:
      description: The name that istiod's certificate must have.
      type: str
      sample: istiod.istio-system.svc
"""

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import bundles, cluster_id
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.issue import Issuer
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotAllowedError,
    Reader,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.tokens import (
    istiods_audiences,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import connection
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.module import cluster_module

HOST_OPTIONS = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "group": {"type": "str"},
    "service_account": {"type": "str"},
    "network": {"type": "str"},
    "internal_address": {"type": "str"},
    "external_address": {"type": "str"},
    "token": {"type": "bool", "default": True, "no_log": False},
}
OPTIONS = {
    "hosts": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": HOST_OPTIONS,
        "mutually_exclusive": [("internal_address", "external_address")],
    },
    "istio_namespace": {"type": "str", "default": "istio-system"},
    "revision": {"type": "str", "default": "default"},
    "cluster_id": {"type": "str"},
    "audience": {"type": "str", "default": "istio-ca"},
    "token_lifetime_seconds": {"type": "int", "default": 3600, "no_log": False},
    "root_config_map": {"type": "str", "default": "istio-ca-root-cert"},
    "wait_timeout": {"type": "int", "default": 20},
    "control_plane_addresses": {"type": "list", "elements": "str", "default": []},
    "gateway": {"type": "str", "default": "istio-eastwestgateway"},
    "autoregister": {"type": "bool", "default": True},
    "capture_dns": {"type": "bool", "default": True},
}


class Run:
    """One run of the module, up to its result. ``warnings`` are for the user."""

    def __init__(self, params: dict[str, t.Any], check_mode: bool) -> None:
        self._params = params
        self._check_mode = check_mode
        self.warnings: list[str] = []

    def result(self) -> dict[str, t.Any]:
        """What the module returns. Raises BootstrapError and ClusterError."""
        params = self._params
        revision = Revision(params["revision"], params["istio_namespace"])
        plane = ControlPlane(Reader(connection.connect(params)), revision)
        issuer = Issuer(
            plane.reader,
            params["audience"],
            params["token_lifetime_seconds"],
            self._accepted(plane) if any(host["token"] for host in params["hosts"]) else (),
        )
        mesh = plane.mesh_config()
        chosen, unsure = cluster_id.choose(plane, params["cluster_id"])
        addresses = params["control_plane_addresses"] or plane.outer_addresses(
            mesh, params["gateway"]
        )
        cluster = bundles.Cluster(
            plane=plane,
            mesh=mesh,
            cluster_id=chosen,
            root_config_map=params["root_config_map"],
            wait_seconds=params["wait_timeout"],
            autoregister=params["autoregister"],
            capture_dns=params["capture_dns"],
        )
        made, failures = bundles.make(
            cluster, None if self._check_mode else issuer, params["hosts"]
        )
        self.warnings += filter(None, (unsure, issuer.unchecked))
        common = {
            "trust_domain": mesh.effective_trust_domain,
            "mesh_id": mesh.mesh_id or mesh.effective_trust_domain,
            "cluster_id": chosen,
            "discovery_address": mesh.discovery_address or revision.address,
            "addresses": addresses,
            "server_name": plane.server_name(mesh),
        }
        return {"hosts": made, "failures": failures, "mesh": common}

    def _accepted(self, plane: ControlPlane) -> list[str]:
        """Audiences that istiod takes, as far as its Deployment may be read."""
        try:
            return istiods_audiences(plane.deployment())
        except NotAllowedError as error:
            self.warnings.append(f"istiod is taken to accept the audience istio-ca: {error}")
            return istiods_audiences(None)


def main() -> None:
    """Make the bundles."""
    module = cluster_module(OPTIONS)
    run = Run(module.params, module.check_mode)
    try:
        result = run.result()
    except (BootstrapError, ClusterError) as error:
        module.fail_json(msg=str(error))
    for text in run.warnings:
        module.warn(text)
    if result["failures"]:
        reasons = [f"{one['name']}: {one['message']}" for one in result["failures"]]
        module.fail_json(msg="\n".join(reasons), changed=False, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
