#!/usr/bin/python
# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Put directories, files and links on a host, in one call
version_added: 0.1.0
description:
  - Makes a set of directories, files and links what they should be, in one call instead of one for
    each.
  - The directories come first, because programs that check a file may look there. Then the new
    content of all files is checked. When one is refused, or something else is in the place of a
    link, no file and no link is touched.
extends_documentation_fragment:
  - hybrid.mesh.attributes
attributes:
  check_mode:
    support: full
    details: Content is not checked in check mode, where its program may not be there yet.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  directories:
    description: The directories. Those above them are made as well.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      owner:
        description: Name of its user.
        type: str
        default: root
      group:
        description: Name of its group.
        type: str
        default: root
      mode:
        description: Permissions, in octal.
        type: str
        default: "0755"
  files:
    description: The files. Their directories have to be there, or to be among O(directories).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: What is in it.
        type: str
        required: true
      owner:
        description: Name of its user.
        type: str
        default: root
      group:
        description: Name of its group.
        type: str
        default: root
      mode:
        description: Permissions, in octal.
        type: str
        default: "0644"
      validate:
        description: Command that accepts new content, V(%s) in it being a file that holds it.
        type: str
  links:
    description: Symbolic links. One that leads elsewhere is replaced.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      target:
        description: Where it leads. It need not be there.
        type: str
        required: true
author:
  - hybrid.mesh contributors (@hybrid-mesh)
"""

EXAMPLES = r"""
---
- name: Configure a service
  hybrid.mesh.host_files:
    directories:
      - path: /etc/shop
    files:
      - path: /etc/shop/shop.yaml
        content: "{{ shop_settings | to_nice_yaml }}"
        validate: /usr/bin/shop check %s
      - path: /etc/systemd/system/shop.service
        content: "{{ lookup('ansible.builtin.template', 'shop.service.j2') }}"
  register: shop_files
  notify: Restart the shop
"""

RETURN = r"""
paths:
  description: What was made or changed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/shop/shop.yaml]
"""

import os
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

Entry = t.Dict[str, t.Any]


def owned(mode: str) -> dict[str, t.Any]:
    """Options of whatever has a path, an owner and permissions."""
    return {
        "path": {"type": "path", "required": True},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": mode},
    }


FILES = {
    **owned("0644"),
    "content": {"type": "str", "required": True},
    "validate": {"type": "str"},
}
LINKS = {
    "path": {"type": "path", "required": True},
    "target": {"type": "str", "required": True},
}


class Placer:
    """Puts things in their places, and remembers which of them were not as they should be."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._drafts: dict[str, str] = {}
        self.paths: list[str] = []
        self.diffs: list[dict[str, str]] = []

    def check(self, files: list[Entry], links: list[Entry]) -> None:
        """Fail before anything is touched for what is known not to work."""
        for entry in files:
            if "%s" not in (entry["validate"] or "%s"):
                self._module.fail_json(
                    msg=f"{entry['path']}: validate: expected %s in the command, where the file "
                    f"goes, found {entry['validate']!r}"
                )
        for entry in links:
            path = entry["path"]
            if os.path.lexists(path) and not os.path.islink(path):
                self._module.fail_json(msg=f"{path}: expected a link, found something else")

    def draft(self, entry: Entry) -> None:
        """Have the file's program look at new content, which is in no place of the host yet."""
        path = entry["path"]
        before = self._read(path)
        if before == entry["content"]:
            return
        self._note(path, before or "", entry["content"])
        if self._module.check_mode:
            return
        handle, draft = tempfile.mkstemp(dir=self._module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            stream.write(entry["content"])
        self._drafts[path] = draft
        if entry["validate"]:
            command = entry["validate"].replace("%s", draft)
            code, out, err = self._module.run_command(command)
            if code != 0:
                said = (err.strip() or out.strip()).replace(draft, path)
                self._module.fail_json(msg=f"{path}: its new content is refused: {said}")

    def directory(self, entry: Entry) -> None:
        """Make the directory, if need be, and give it its owner and permissions."""
        path = entry["path"]
        if not os.path.isdir(path):
            self._note(path, "absent\n", "directory\n")
            if self._module.check_mode:
                return
            # Those above it are for everybody to pass, whatever the user's umask says.
            before = os.umask(0o022)
            try:
                os.makedirs(path)
            finally:
                os.umask(before)
        self._attributes(entry)

    def file(self, entry: Entry) -> None:
        """Replace the file by what was drafted, if anything was."""
        if entry["path"] in self._drafts:
            self._module.atomic_move(self._drafts.pop(entry["path"]), entry["path"])
        if os.path.exists(entry["path"]):
            self._attributes(entry)

    def link(self, entry: Entry) -> None:
        """Have the link lead to its target."""
        path, target = entry["path"], entry["target"]
        before = os.readlink(path) if os.path.islink(path) else None
        if before == target:
            return
        self._note(path, f"{before or 'absent'}\n", f"{target}\n")
        if not self._module.check_mode:
            fresh = f"{path}.new"
            try:
                if os.path.lexists(fresh):
                    os.unlink(fresh)
                os.symlink(target, fresh)
                os.replace(fresh, path)
            except OSError as exc:  # names the target, or the other path
                raise OSError(exc.errno, exc.strerror, path) from exc

    def _read(self, path: str) -> str | None:
        try:
            with open(path, encoding="utf-8", errors="replace", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def _note(self, path: str, before: str, after: str) -> None:
        self.paths.append(path)
        self.diffs.append(
            {"before_header": path, "after_header": path, "before": before, "after": after}
        )

    def _attributes(self, entry: Entry) -> None:
        wanted = self._module.load_file_common_arguments(
            {"owner": entry["owner"], "group": entry["group"], "mode": entry["mode"]},
            # The permissions are those of what a link leads to.
            path=os.path.realpath(entry["path"]),
        )
        changed = self._module.set_fs_attributes_if_different(wanted, changed=False)
        if changed and entry["path"] not in self.paths:
            self.paths.append(entry["path"])


def main() -> None:
    """Draft all files before the first is replaced."""
    module = AnsibleModule(
        argument_spec={
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": owned("0755"),
            },
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILES},
            "links": {"type": "list", "elements": "dict", "default": [], "options": LINKS},
        },
        supports_check_mode=True,
    )
    placer = Placer(module)
    placer.check(module.params["files"], module.params["links"])
    try:
        for entry in module.params["directories"]:
            placer.directory(entry)
        for entry in module.params["files"]:
            placer.draft(entry)
        for entry in module.params["files"]:
            placer.file(entry)
        for entry in module.params["links"]:
            placer.link(entry)
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename or 'a file'}: {exc.strerror or exc}")
    result: dict[str, t.Any] = {"changed": bool(placer.paths), "paths": placer.paths}
    if module._diff:
        result["diff"] = placer.diffs
    module.exit_json(**result)


if __name__ == "__main__":
    main()
