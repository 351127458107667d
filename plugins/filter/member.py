# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: member
short_description: Show what a host is in the mesh
version_added: 0.1.0
description:
  - Reads the C(mesh_*) variables of a host, checks them and fills in what they leave open.
  - The roles take their defaults from here, so that a host and the objects made from all hosts
    agree.
positional: _input
options:
  _input:
    description: The variables of the host, an element of C(hostvars).
    type: dict
    required: true
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show this host's namespace in the mesh
  ansible.builtin.debug:
    msg: "{{ (hostvars[inventory_hostname] | hybrid.mesh.member).namespace }}"
"""

RETURN = r"""
_value:
  description:
    - What the host is, with the keys V(name), V(profile), V(control_plane), V(trust_domain),
      V(mesh_id), V(cluster_id), V(network), V(address), V(addresses), V(candidates), V(namespace),
      V(service_account), V(group), V(labels), V(ports), V(probe), V(health_probe), V(legs),
      V(public_address), V(outside_addresses), V(outside_network) and V(entry), the name of the
      WorkloadEntry that istiod makes of it.
  type: dict
"""

import dataclasses
import re
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.plugin_utils import _topology


def snake_case(value: t.Any) -> t.Any:
    """Istio's readiness probe as the agent spells it: ``httpGet`` -> ``http_get``."""
    if isinstance(value, dict):
        return {
            re.sub(r"(?<!^)([A-Z])", r"_\1", k).lower(): snake_case(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return [snake_case(entry) for entry in value]
    return value


def member(variables: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The host as a dictionary. Raises AnsibleFilterError naming host and variable."""
    try:
        host = _topology.member(variables)
    except _topology.TopologyError as exc:
        raise AnsibleFilterError(str(exc)) from exc
    found = dataclasses.asdict(host)
    found["entry"] = _topology.entry_name(host)
    found["health_probe"] = snake_case(found["probe"])
    return found


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"member": member}
