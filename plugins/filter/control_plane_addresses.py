# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: control_plane_addresses
short_description: Show where a host reaches the control plane
version_added: 0.1.0
description:
  - On the control plane's own network, that is the control plane itself.
  - On another network it is each gateway that stands on the control plane's network.
  - A control plane that is no host of the inventory is at C(mesh_control_plane_addresses), on the
    network C(mesh_control_plane_network).
positional: _input, control_planes, gateways, found
options:
  _input:
    description: The variables of the host, an element of C(hostvars).
    type: dict
    required: true
  control_planes:
    description: The variables of the control plane hosts.
    type: list
    elements: dict
    required: true
  gateways:
    description: The variables of the gateways.
    type: list
    elements: dict
    default: []
  found:
    description: Addresses that count where the host has no C(mesh_control_plane_addresses).
    type: list
    elements: str
    default: []
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show where this host reaches the control plane
  ansible.builtin.debug:
    msg: "{{ me | hybrid.mesh.control_plane_addresses(control_planes, gateways) }}"
  vars:
    me: "{{ hostvars[inventory_hostname] }}"
    control_planes: "{{ groups['mesh_control_plane'] | map('extract', hostvars) }}"
    gateways: "{{ groups['mesh_gateways'] | default([]) | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: Addresses, V(HOST:PORT) each, the preferred one first.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _topology


def control_plane_addresses(
    variables: t.Mapping[str, t.Any],
    control_planes: t.Iterable[t.Mapping[str, t.Any]],
    gateways: t.Iterable[t.Mapping[str, t.Any]] = (),
    found: t.Sequence[str] = (),
) -> list[str]:
    """The addresses. Raises AnsibleFilterError naming host and variable."""
    try:
        return _topology.control_plane_addresses(
            _topology.member(variables),
            [_topology.member(host) for host in control_planes],
            [_topology.member(host) for host in gateways],
            found,
        )
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"control_plane_addresses": control_plane_addresses}
