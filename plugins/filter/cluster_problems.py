# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cluster_problems
short_description: Show why hosts could not join the mesh of a cluster
version_added: 0.1.0
description:
  - Judges what M(hybrid.mesh.mesh_info) found. Its options
    O(hybrid.mesh.mesh_info#module:permissions), O(hybrid.mesh.mesh_info#module:identities) and
    O(hybrid.mesh.mesh_info#module:connect) make it look for what is judged here.
positional: _input, hosts
options:
  _input:
    description: What M(hybrid.mesh.mesh_info) returned.
    type: dict
    required: true
  hosts:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
  istio_namespace:
    description: Namespace of istiod.
    type: str
    default: istio-system
  manage_groups:
    description: Whether WorkloadGroups and ServiceAccounts are made from the inventory.
    type: bool
    default: true
  said:
    description:
      - What the inventory says of the mesh, C(mesh_cluster_id), C(mesh_trust_domain), C(mesh_id).
    type: dict
    default: {}
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ mesh | hybrid.mesh.cluster_problems(groups['mesh'] | map('extract', hostvars)) }}"
"""

RETURN = r"""
_value:
  description: What is wrong, where, and what to do. Empty when all is well.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _cluster_problems, _topology


def cluster_problems(
    found: t.Mapping[str, t.Any],
    hosts: t.Iterable[t.Mapping[str, t.Any]],
    istio_namespace: str = "istio-system",
    manage_groups: bool = True,
    said: t.Mapping[str, str] | None = None,
) -> list[str]:
    """The problems. Raises AnsibleFilterError naming host and variable."""
    wanted = _cluster_problems.Wanted(istio_namespace, manage_groups, dict(said or {}))
    try:
        members = [_topology.member(host) for host in hosts]
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    return _cluster_problems.problems(found, members, wanted)


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"cluster_problems": cluster_problems}
