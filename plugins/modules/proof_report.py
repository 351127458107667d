#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: proof_report
short_description: Report what a mesh proved, and fail if it did not
version_added: 0.1.0
description:
  - Takes what M(hybrid.mesh.mesh_call) returned on the hosts of a run, prints it as a table, and
    writes it to a directory as V(verify.json), as V(verify.xml) for systems that read JUnit, and
    as V(verify.html), a page with a picture of the mesh that needs nothing but itself.
  - Fails and says why when a call went otherwise than expected, or was not made.
  - Runs on the controller. The hosts of the picture come from the inventory, from the groups
    C(mesh_workloads), C(mesh_gateways) and C(mesh_control_plane), the variables C(mesh_address),
    C(mesh_extra_addresses), C(mesh_gateway_addresses), C(mesh_network), C(mesh_namespace),
    C(mesh_service_account) and C(mesh_workload_group), and the network facts of the hosts where
    they were gathered.
author:
  - hybrid.mesh contributors (@hybrid-mesh)
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: partial
    details:
      - Prints the table and fails as it would otherwise, but writes no files.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - The files are a record of the run, with its time, and no state of a host. Writing them is no
        change.
  platform:
    platforms: posix
options:
  calls:
    description:
      - The calls that were to be made, as M(hybrid.mesh.proof_plan) returns them.
    type: list
    elements: dict
    required: true
  made:
    description:
      - For each host that was to make calls, the whole of what its task with
        M(hybrid.mesh.mesh_call) returned, also when the task failed or did not reach the host.
    type: dict
    required: true
  directory:
    description:
      - Directory on the controller for the files. It is made if it does not exist.
    type: path
    required: true
  mesh:
    description:
      - Name of the mesh in the report.
    type: str
    default: mesh1
  hosts:
    description:
      - Names of the hosts of the picture. The default is those of the group C(mesh) and all that
        make calls.
    type: list
    elements: str
seealso:
  - module: hybrid.mesh.mesh_call
  - module: hybrid.mesh.proof_plan
"""

EXAMPLES = r"""
---
- name: Write the proof
  hybrid.mesh.proof_report:
    calls: "{{ plan['calls'] }}"
    made: "{{ dict(plan['callers'] | zip(plan['callers'] | map('extract', hostvars, 'made'))) }}"
    directory: ./verify
"""

RETURN = r"""
headline:
  description: The result in a sentence.
  returned: always
  type: str
  sample: All 16 calls went as expected
total:
  description: The number of calls.
  returned: always
  type: int
failed_calls:
  description: Those that went otherwise than expected or were not made, by number and name.
  returned: always
  type: list
  elements: str
files:
  description: What was written.
  returned: always
  type: list
  elements: str
"""
