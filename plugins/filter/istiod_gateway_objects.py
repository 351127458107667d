# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: istiod_gateway_objects
short_description: Make the objects that gateways need in a cluster with an istiod of its own
version_added: 0.1.0
description:
  - Makes a Service for each network, from which istiod learns where the network is reached, the
    Gateway that passes calls between networks through, and what lets hosts of other networks reach
    istiod.
  - Nothing that Istio's own installation owns is among them, and no gateway but the inventory's
    follows them.
  - Without gateways there are no objects.
positional: _input, hosts
options:
  _input:
    description: The variables of the gateways.
    type: list
    elements: dict
    required: true
  hosts:
    description:
      - The variables of all hosts of the mesh. istiod is passed through the gateways where one of
        them is not on its network (C(mesh_control_plane_network)).
    type: list
    elements: dict
    required: true
  namespace:
    description: Namespace of istiod.
    type: str
    default: istio-system
  revision:
    description: Revision of istiod.
    type: str
    default: default
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show the objects
  ansible.builtin.debug:
    msg: "{{ gateways | hybrid.mesh.istiod_gateway_objects(hosts, revision='canary') }}"
  vars:
    gateways: "{{ groups['mesh_gateways'] | map('extract', hostvars) }}"
    hosts: "{{ groups['mesh'] | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: The objects.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _istio_objects, _topology


def istiod_gateway_objects(
    gateways: t.Iterable[t.Mapping[str, t.Any]],
    hosts: t.Iterable[t.Mapping[str, t.Any]],
    namespace: str = "istio-system",
    revision: str = "default",
) -> list[dict[str, t.Any]]:
    """The objects. Raises AnsibleFilterError naming host and variable."""
    try:
        return _istio_objects.gateway_objects(
            [_topology.member(host) for host in gateways],
            [_topology.member(host) for host in hosts],
            namespace,
            "istiod" if revision in ("", "default") else f"istiod-{revision}",
        )
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"istiod_gateway_objects": istiod_gateway_objects}
