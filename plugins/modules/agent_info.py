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

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._program import (
    Answer,
    ProgramError,
    parse_json,
    run,
)

# Exit code of `mesh-agent status` when no agent answers.
NOT_RUNNING = 3


def without_status(state: str, message: str) -> dict[str, t.Any]:
    """The result for a host whose agent says nothing."""
    return {"state": state, "ready": False, "needs_token": True, "status": {}, "message": message}


def understand(argv: list[str], answer: Answer) -> dict[str, t.Any]:
    """The result for what the program answered. Raises ProgramError when that makes no sense."""
    if answer.code == NOT_RUNNING:
        return without_status("stopped", answer.complaint)
    if answer.code != 0:
        raise ProgramError(f"{' '.join(argv)} failed with code {answer.code}: {answer.complaint}")
    status = parse_json(argv, answer)
    if not isinstance(status, dict):
        raise ProgramError(f"{' '.join(argv)}: expected an object, found {type(status).__name__}")
    identity = status.get("identity") or {}
    return {
        "state": "running",
        "ready": bool(status.get("ready")),
        "needs_token": bool(identity.get("needs_token")),
        "status": status,
        "message": "",
    }


def main() -> None:
    """Ask, and return what is known."""
    module = AnsibleModule(
        argument_spec={
            "program": {
                "type": "path",
                "default": "/opt/hybrid-mesh/runtime/current/bin/mesh-agent",
            },
        },
        supports_check_mode=True,
    )
    program = module.params["program"]
    argv = [program, "status", "--json"]
    if not os.path.exists(program):
        module.exit_json(changed=False, **without_status("absent", f"{program} does not exist"))
    try:
        result = understand(argv, run(argv))
    except ProgramError as exc:
        # A broken installation is what the caller is about to repair: tell, and do not fail.
        result = without_status("stopped", str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
