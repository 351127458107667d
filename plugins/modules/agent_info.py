#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_info
short_description: Show the state of a host's mesh agent
version_added: 0.1.0
description:
  - Asks the agent of this host for its status, as C(mesh-agent status --json) prints it.
  - A host without an agent, or with one that does not run, is a state like any other and no
    failure.
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: It changes nothing.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  program:
    description: Path of C(mesh-agent).
    type: path
    default: /opt/hybrid-mesh/runtime/current/bin/mesh-agent
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Ask the agent
  hybrid.mesh.agent_info:
  register: agent

- name: Wait until the host is in the mesh
  hybrid.mesh.agent_info:
  register: agent
  until: agent.ready
  retries: 30
  delay: 1
"""

RETURN = r"""
state:
  description: V(absent) without an agent, V(stopped) when it does not answer, else V(running).
  returned: always
  type: str
  sample: running
ready:
  description: Whether the agent says that this host's mesh is ready.
  returned: always
  type: bool
  sample: true
needs_token:
  description:
    - Whether the host needs a join token to get a certificate.
    - V(true) also where nothing is known, because the agent is absent or stopped.
  returned: always
  type: bool
  sample: false
status:
  description: The agent's own status, empty unless it runs.
  returned: always
  type: dict
  sample:
    version: 0.1.0
    ready: true
    identity:
      state: valid
      needs_token: false
message:
  description: Why there is no status, empty otherwise.
  returned: always
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._agent_status import PROGRAM, ask


def main() -> None:
    """Ask, and return what is known."""
    module = AnsibleModule(
        argument_spec={"program": {"type": "path", "default": PROGRAM}}, supports_check_mode=True
    )
    module.exit_json(changed=False, **ask(module.params["program"]))


if __name__ == "__main__":
    main()
