# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: identities
short_description: Show the identities of hosts
version_added: 0.1.0
description:
  - Lists each C(mesh_namespace) and C(mesh_service_account) of the hosts once, as
    M(hybrid.mesh.mesh_info) takes them.
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
- name: Show the identities of all workloads
  ansible.builtin.debug:
    msg: "{{ groups['mesh_workloads'] | map('extract', hostvars) | hybrid.mesh.identities }}"
"""

RETURN = r"""
_value:
  description: Entries with C(namespace) and C(service_account), sorted.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _topology


def identities(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, str]]:
    """The identities. Raises AnsibleFilterError naming host and variable."""
    try:
        members = [_topology.member(host) for host in hosts]
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    found = sorted({(host.namespace, host.service_account) for host in members})
    return [{"namespace": namespace, "service_account": name} for namespace, name in found]


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"identities": identities}
