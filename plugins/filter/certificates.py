# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: certificates
short_description: Show which certificates a text holds
version_added: 0.1.0
description:
  - Tells roots of meshes apart. Nothing is verified.
positional: _input
options:
  _input:
    description: Certificates, PEM. Other text between them is passed over.
    type: str
    required: true
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Show whom hosts will trust
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'root-cert.pem') | hybrid.mesh.certificates }}"
"""

RETURN = r"""
_value:
  description:
    - Of each certificate C(subject), C(sha256), C(serial), C(not_before) and C(not_after).
  type: list
  elements: dict
  sample: [{subject: O=cluster.local, sha256: 5f1c...}]
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.certificates import describe
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import BootstrapError


def certificates(pem: str) -> list[dict[str, str]]:
    """The certificates. Raises AnsibleFilterError when there is none, or one that is damaged."""
    try:
        return describe(pem, "certificates")
    except BootstrapError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """The filter, under the name that playbooks use."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"certificates": certificates}
