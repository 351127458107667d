# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: service_accounts
short_description: Make the ServiceAccounts of an inventory's hosts
version_added: 0.1.0
description:
  - Makes one ServiceAccount for each C(mesh_namespace) and C(mesh_service_account) of the hosts.
  - Each is the identity of the hosts that name it.
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
    msg: "{{ groups['mesh_workloads'] | map('extract', hostvars) | hybrid.mesh.service_accounts }}"
"""

RETURN = r"""
_value:
  description: The objects, sorted by namespace and name.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _istio_objects, _topology


def service_accounts(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The objects. Raises AnsibleFilterError naming host and variable."""
    try:
        return _istio_objects.service_accounts([_topology.member(host) for host in hosts])
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"service_accounts": service_accounts}
