# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: to_documents
short_description: Write objects as a YAML file with one document for each
version_added: 0.1.0
description:
  - Keeps the order of keys, and writes texts of several lines as blocks.
positional: _input
options:
  _input:
    description: The objects.
    type: list
    elements: dict
    required: true
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show the objects as they would stand in a file
  ansible.builtin.debug:
    msg: "{{ workloads | hybrid.mesh.workload_groups | hybrid.mesh.to_documents }}"
  vars:
    workloads: "{{ groups['mesh_workloads'] | map('extract', hostvars) }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

import typing as t

from ansible_collections.hybrid.mesh.plugins.plugin_utils._documents import to_documents


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"to_documents": to_documents}
