#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proxy_info
short_description: Show what a host's agent and Envoy have
version_added: 0.1.0
description:
  - Asks the agent of this host for its status, and Envoy for its listeners, clusters, endpoints and
    certificates.
  - On request it gives Envoy's whole configuration, in the shape that
    C(istioctl proxy-config --file) reads. Private keys are not in it.
  - A host without an agent or Envoy is a state like any other and no failure.
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  config_dump:
    description: Whether to return RV(config_dump) and RV(clusters_dump). They can be megabytes.
    type: bool
    default: false
  admin_socket:
    description: Socket of Envoy's administration interface.
    type: path
    default: /run/mesh-proxy/admin.sock
  program:
    description: Path of C(mesh-agent).
    type: path
    default: /opt/hybrid-mesh/runtime/current/bin/mesh-agent
seealso:
  - module: hybrid.mesh.agent_info
    description: The agent alone.
  - module: hybrid.mesh.mesh_info
    description: The same for a cluster.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Get Envoy's configuration
  hybrid.mesh.proxy_info:
    config_dump: true
  register: proxy

# istioctl proxy-config listeners --file web.json
- name: Keep it for istioctl
  ansible.builtin.copy:
    content: "{{ proxy.config_dump | to_json }}"
    dest: "{{ inventory_hostname }}.json"
    mode: "0600"
  delegate_to: localhost
"""

RETURN = r"""
agent:
  description: What M(hybrid.mesh.agent_info) returns.
  returned: always
  type: dict
  sample: {state: running, ready: true, needs_token: false, status: {}, message: ""}
proxy:
  description: Envoy in a few lines.
  returned: always
  type: dict
  contains:
    state:
      description: V(running), or V(stopped) when it does not answer.
      type: str
      sample: running
    message:
      description: Why it does not answer, empty otherwise.
      type: str
      sample: ""
    version:
      description: Envoy's version.
      type: str
      sample: 1.40.0
    ready:
      description: Whether it has all that it needs to serve.
      type: bool
      sample: true
    node:
      description: Under which name it is known to the control plane.
      type: str
      sample: sidecar~192.0.2.10~web.shop~shop.svc.cluster.local
    listeners:
      description: Name and address of each listener.
      type: list
      elements: dict
      sample: [{name: virtualInbound, address: "0.0.0.0:15006"}]
    clusters:
      description: Each cluster with its endpoints, their health and weight.
      type: list
      elements: dict
      sample:
        - name: outbound|80||api.shop.svc.cluster.local
          endpoints: [{address: "192.0.2.11:8080", healthy: true, weight: 1}]
    certificates:
      description: Certificates in use, C(cert_chain) its own and C(ca_cert) those that it trusts.
      type: list
      elements: dict
      sample:
        - kind: cert_chain
          serial: 1f2e
          names: [spiffe://cluster.local/ns/shop/sa/web]
          not_before: "2026-05-01T12:00:00Z"
          not_after: "2026-05-02T12:00:00Z"
config_dump:
  description: Envoy's answer to C(/config_dump?include_eds), secrets redacted.
  returned: with O(config_dump), when Envoy answers
  type: dict
  sample: {configs: []}
clusters_dump:
  description:
    - Envoy's answer to C(/clusters?format=json).
    - C(istioctl proxy-config endpoints --file) reads this one.
  returned: with O(config_dump), when Envoy answers
  type: dict
  sample: {cluster_statuses: []}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._agent_status import PROGRAM, ask
from ansible_collections.hybrid.mesh.plugins.module_utils._config_dump import summary
from ansible_collections.hybrid.mesh.plugins.module_utils._config_dump.admin import (
    Admin,
    AdminError,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._config_dump.redact import redact


def look(admin: Admin, dump: bool) -> dict[str, t.Any]:
    """What Envoy has, and with ``dump`` all of it. Raises AdminError when it does not answer."""
    server = admin.get("/server_info")
    clusters = admin.get("/clusters?format=json")
    proxy = {
        "state": "running",
        "message": "",
        "version": summary.version(server),
        "ready": server.get("state") == "LIVE",
        "node": (server.get("node") or {}).get("id", ""),
        "listeners": summary.listeners(admin.get("/listeners?format=json")),
        "clusters": summary.clusters(clusters),
        "certificates": summary.certificates(admin.get("/certs")),
    }
    if not dump:
        return {"proxy": proxy}
    whole = redact(admin.get("/config_dump?include_eds"))
    return {"proxy": proxy, "config_dump": whole, "clusters_dump": clusters}


def stopped(message: str) -> dict[str, t.Any]:
    """The result for an Envoy that says nothing."""
    empty: dict[str, t.Any] = {"version": "", "ready": False, "node": ""}
    lists: dict[str, t.Any] = {"listeners": [], "clusters": [], "certificates": []}
    return {"proxy": {"state": "stopped", "message": message, **empty, **lists}}


def main() -> None:
    """Look, and return what was seen."""
    module = AnsibleModule(
        argument_spec={
            "config_dump": {"type": "bool", "default": False},
            "admin_socket": {"type": "path", "default": "/run/mesh-proxy/admin.sock"},
            "program": {"type": "path", "default": PROGRAM},
        },
        supports_check_mode=True,
    )
    try:
        seen = look(Admin(module.params["admin_socket"]), module.params["config_dump"])
    except AdminError as error:
        seen = stopped(str(error))
    module.exit_json(changed=False, agent=ask(module.params["program"]), **seen)


if __name__ == "__main__":
    main()
