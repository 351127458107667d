# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: workload_groups
short_description: Make Istio's WorkloadGroup objects from the hosts of an inventory
version_added: 0.1.0
description:
  - Makes one WorkloadGroup for each namespace and C(mesh_workload_group) of the hosts.
  - The group's labels are those that all its hosts share.
  - Hosts that disagree on what a group has only once, for example the service account, are an
    error.
positional: _input
options:
  _input:
    description: The variables of the hosts.
    type: list
    elements: dict
    required: true
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show the objects
  ansible.builtin.debug:
    msg: "{{ groups['mesh_workloads'] | map('extract', hostvars) | hybrid.mesh.workload_groups }}"
"""

RETURN = r"""
_value:
  description: The objects, sorted by namespace and name.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _objects, _topology


def workload_groups(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The objects. Raises AnsibleFilterError naming host and variable."""
    try:
        return _objects.workload_groups([_topology.member(host) for host in hosts])
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"workload_groups": workload_groups}
