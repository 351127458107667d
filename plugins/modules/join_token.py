#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: join_token
short_description: Issue short-lived tokens with which hosts join the mesh
version_added: 0.1.0
description:
  - Asks the embedded control plane, on its host, for join tokens. All tokens of a run are one call.
  - A token proves a namespace and a service account to the control plane once, within its lifetime.
    Afterwards the host is known by its certificate.
  - The result holds the tokens. Run the task with C(no_log) V(true).
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
    details: No token is issued, and RV(tokens) is empty.
  diff_mode:
    support: none
    details: What it makes is secret.
  idempotent:
    support: none
    details: Every run issues new tokens. Ask M(hybrid.mesh.agent_info) whether a host needs one.
  platform:
    platforms: linux
options:
  subjects:
    description: Who the tokens are for, one token each.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The caller's own label, for example the host. It comes back with the token.
        type: str
        required: true
      namespace:
        description: Namespace of the workload.
        type: str
        required: true
      service_account:
        description: Service account of the workload.
        type: str
        required: true
      lifetime_seconds:
        description: How long the token can be used. The control plane's default when omitted.
        type: int
  program:
    description: Path of C(mesh-control).
    type: path
    default: /opt/hybrid-mesh/runtime/current/bin/mesh-control
  config:
    description: Configuration file of the control plane.
    type: path
    default: /etc/mesh-control/control.yaml
  user:
    description: User that owns the control plane's state. The program runs as this user.
    type: str
    default: mesh-control
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Issue a token for each new host
  hybrid.mesh.join_token:
    subjects:
      - name: api-1
        namespace: shop
        service_account: api
  register: issued
  no_log: true
"""

RETURN = r"""
tokens:
  description: One entry for each subject, in their order. Empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The label of the subject.
      type: str
      sample: api-1
    namespace:
      description: Namespace that the token proves.
      type: str
      sample: shop
    service_account:
      description: Service account that the token proves.
      type: str
      sample: api
    token:
      description: The token, secret.
      type: str
      sample: eyJhbGciOiJFUzI1NiJ9...
    expires:
      description: When the token stops being accepted, as the control plane writes it.
      type: raw
      sample: "2026-05-01T12:10:00Z"
"""

import json
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils._program import (
    ProgramError,
    parse_json,
    run,
)

SUBJECT_OPTIONS = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "service_account": {"type": "str", "required": True},
    "lifetime_seconds": {"type": "int"},
}


def request(subjects: list[dict[str, t.Any]]) -> str:
    """What ``mesh-control token create`` reads: the subjects without labels and omitted options."""
    wanted = ("namespace", "service_account", "lifetime_seconds")
    return json.dumps([{key: s[key] for key in wanted if s.get(key) is not None} for s in subjects])


def labelled(subjects: list[dict[str, t.Any]], issued: t.Any) -> list[dict[str, t.Any]]:
    """The issued tokens with the caller's labels.

    Raises ProgramError when the answer is not one token for each subject, in order: a token that
    goes to another host than the one it was asked for would give it that host's identity.
    """
    if not isinstance(issued, list) or len(issued) != len(subjects):
        raise ProgramError(f"expected a list of {len(subjects)} tokens from mesh-control")
    result = []
    for subject, entry in zip(subjects, issued):  # noqa: B905 - compared above, and 3.9 has none
        for key in ("namespace", "service_account"):
            if not isinstance(entry, dict) or entry.get(key) != subject[key]:
                raise ProgramError(
                    f"token for {subject['name']}: expected {key} {subject[key]} from mesh-control"
                )
        result.append(dict(entry, name=subject["name"]))
    return result


def create(params: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Issue the tokens. Raises ProgramError with what mesh-control said."""
    argv = [params["program"], "token", "create", "--config", params["config"]]
    answer = run(argv, data=request(params["subjects"]), user=params["user"])
    if answer.code != 0:
        raise ProgramError(f"mesh-control issued no tokens: {answer.complaint}")
    return labelled(params["subjects"], parse_json(argv, answer))


def main() -> None:
    """Issue the tokens, unless this is check mode."""
    module = AnsibleModule(
        argument_spec={
            "subjects": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": SUBJECT_OPTIONS,
            },
            "program": {
                "type": "path",
                "default": "/opt/hybrid-mesh/runtime/current/bin/mesh-control",
            },
            "config": {"type": "path", "default": "/etc/mesh-control/control.yaml"},
            "user": {"type": "str", "default": "mesh-control"},
        },
        supports_check_mode=True,
    )
    tokens: list[dict[str, t.Any]] = []
    if module.params["subjects"] and not module.check_mode:
        try:
            tokens = create(module.params)
        except ProgramError as exc:
            module.fail_json(msg=str(exc))
    module.exit_json(changed=bool(module.params["subjects"]), tokens=tokens)


if __name__ == "__main__":
    main()
