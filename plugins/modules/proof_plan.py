#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proof_plan
short_description: Check the calls that are to prove a mesh, and give each host its own
version_added: 0.1.0
description:
  - Checks a list of calls as the variable C(mesh_calls) holds it, before the first one is made, and
    names everything that is wrong with it, and where.
  - Runs on the controller.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  calls:
    description:
      - The calls. Each one has C(from), the host that makes it, and the options of one of the calls
        of M(hybrid.mesh.mesh_call).
      - C(to) may name the host, or a list of hosts, that a call is for. Without it the report finds
        out by addresses, identities and names.
    type: list
    elements: raw
    required: true
  limit:
    description:
      - Hosts of this run. Calls from other hosts are left out. The default is all hosts of the
        inventory.
    type: list
    elements: str
seealso:
  - module: hybrid.mesh.mesh_call
  - module: hybrid.mesh.proof_report
"""

EXAMPLES = r"""
---
- name: Check the calls
  hybrid.mesh.proof_plan:
    calls:
      - from: web
        url: http://api.shop.svc.cluster.local/
        expect: allowed
      - from: outsider
        to: web
        url: http://192.0.2.11/
        expect: refused
  register: plan
"""

RETURN = r"""
calls:
  description: The calls of this run, each with C(name), and C(to) as a list.
  returned: success
  type: list
  elements: dict
callers:
  description: For each host that makes calls, the O(hybrid.mesh.mesh_call#module:calls) for it.
  returned: success
  type: dict
left_out:
  description: The number of calls whose host is not within O(limit).
  returned: success
  type: int
"""
