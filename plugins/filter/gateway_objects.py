# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: gateway_objects
short_description: Make the Istio objects that east-west gateways need
version_added: 0.1.0
description:
  - Makes the mesh's networks (ConfigMap C(istio)), the Gateway that passes calls between networks
    through, and what lets hosts of other networks reach the control plane.
  - Without gateways there are no objects.
positional: _input, control_planes, mesh_config
options:
  _input:
    description: The variables of the gateways.
    type: list
    elements: dict
    required: true
  control_planes:
    description: The variables of the control plane hosts.
    type: list
    elements: dict
    required: true
  mesh_config:
    description: Istio's MeshConfig, for the same ConfigMap.
    type: dict
    default: {}
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show the objects
  ansible.builtin.debug:
    msg: "{{ gateways | hybrid.mesh.gateway_objects(control_planes) }}"
  vars:
    gateways: "{{ groups['mesh_gateways'] | map('extract', hostvars) }}"
    control_planes: "{{ groups['mesh_control_plane'] | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: The objects.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _documents, _objects, _topology


def gateway_objects(
    gateways: t.Iterable[t.Mapping[str, t.Any]],
    control_planes: t.Iterable[t.Mapping[str, t.Any]],
    mesh_config: t.Mapping[str, t.Any] | None = None,
) -> list[dict[str, t.Any]]:
    """The objects. Raises AnsibleFilterError naming host and variable."""
    try:
        return _objects.gateway_objects(
            [_topology.member(host) for host in gateways],
            [_topology.member(host) for host in control_planes],
            mesh_config or {},
            lambda value: _documents.to_documents([value]),
        )
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"gateway_objects": gateway_objects}
