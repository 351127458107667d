#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_config
short_description: Give the embedded control plane its Istio and Kubernetes objects
version_added: 0.1.0
description:
  - Writes a set of object files into the control plane's directory, as one unit.
  - The whole directory, as it would be, is checked by C(mesh-control config check) first. When the
    checker refuses it, nothing is written, and the module fails with the checker's own message.
  - Files that an earlier run wrote and that are no longer given are removed. Files that came
    another way are left alone.
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
    details:
      - The objects are checked in check mode, too, if C(mesh-control) is there. On a host that has
        no control plane yet, only the difference is shown.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  objects:
    description: The files, file name to content. A file may hold several YAML documents.
    type: dict
    required: true
  directory:
    description: The control plane's directory of objects.
    type: path
    default: /etc/mesh-control/objects
  prune:
    description: Whether to remove files that an earlier run wrote and that are no longer given.
    type: bool
    default: true
  program:
    description: Path of C(mesh-control).
    type: path
    default: /opt/hybrid-mesh/runtime/current/bin/mesh-control
  config:
    description: Configuration file of the control plane.
    type: path
    default: /etc/mesh-control/control.yaml
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Serve the objects of the shop
  hybrid.mesh.mesh_config:
    objects:
      shop.yaml: "{{ lookup('ansible.builtin.file', 'objects/shop.yaml') }}"
"""

RETURN = r"""
files:
  description: Names of the files that changed, or would change.
  returned: success
  type: list
  elements: str
  sample: [shop.yaml]
checked:
  description: Whether C(mesh-control) checked the objects.
  returned: success
  type: bool
  sample: true
remarks:
  description:
    - What the checker said of objects that it accepted. Each line is shown as a warning, too.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os
import shutil
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.hybrid.mesh.plugins.module_utils import _object_files as object_files
from ansible_collections.hybrid.mesh.plugins.module_utils._program import ProgramError, run


def check(argv: list[str], staged: str, directory: str) -> list[str]:
    """Have the staged directory checked; the lines that the checker said of it.

    Raises ProgramError with the checker's message, the staged path replaced by the real one.
    """
    answer = run([*argv, staged])
    if answer.code != 0:
        raise ProgramError(answer.complaint.replace(staged, directory))
    return answer.output.replace(staged, directory).splitlines()


def differences(directory: str, changes: list[object_files.Change]) -> list[dict[str, str]]:
    """The changes as Ansible shows them, one entry for each file."""
    found = []
    for change in changes:
        path = os.path.join(directory, change.name)
        found.append(
            {
                "before_header": path if change.before is not None else f"{path} (absent)",
                "after_header": path if change.after is not None else f"{path} (absent)",
                "before": change.before or "",
                "after": change.after or "",
            }
        )
    return found


def main() -> None:
    """Plan, have it checked, and only then write."""
    module = AnsibleModule(
        argument_spec={
            "objects": {"type": "dict", "required": True},
            "directory": {"type": "path", "default": "/etc/mesh-control/objects"},
            "prune": {"type": "bool", "default": True},
            "program": {
                "type": "path",
                "default": "/opt/hybrid-mesh/runtime/current/bin/mesh-control",
            },
            "config": {"type": "path", "default": "/etc/mesh-control/control.yaml"},
        },
        supports_check_mode=True,
    )
    params: dict[str, t.Any] = module.params
    directory = params["directory"]
    wanted = {str(name): str(content) for name, content in params["objects"].items()}
    argv = [params["program"], "config", "check", "--config", params["config"]]
    checked, remarks = False, []
    work = tempfile.mkdtemp(dir=module.tmpdir)
    try:
        object_files.check_names(wanted)
        changes = object_files.plan(directory, wanted, params["prune"])
        manifest = object_files.manifest(directory, wanted, params["prune"])
        claims = manifest != object_files.read(os.path.join(directory, object_files.MANIFEST))
        if changes and (os.path.exists(params["program"]) or not module.check_mode):
            remarks = check(argv, object_files.stage(directory, changes, work), directory)
            checked = True
        if (changes or claims) and not module.check_mode:
            object_files.replace(directory, changes, manifest)
    except (ProgramError, object_files.ObjectFilesError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{directory}: {exc}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for remark in remarks:
        module.warn(remark)
    module.exit_json(
        changed=bool(changes or claims),
        files=[change.name for change in changes],
        checked=checked,
        remarks=remarks,
        diff=differences(directory, changes),
    )


if __name__ == "__main__":
    main()
