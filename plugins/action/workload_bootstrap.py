# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Keeps tokens from being shown, also where a task forgot C(no_log).

    What is registered has them. Ansible refuses C(async) for it, where async_status would show the
    tokens. The module itself has the documentation.
    """

    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        result.update(self._execute_module(task_vars=task_vars))
        if any(host.get("token") for host in result.get("hosts") or ()):
            result["_ansible_no_log"] = True
            if not self._task.no_log:
                # The reasons are no secret, and would be hidden with the tokens.
                said = [f"{one['name']}: {one['message']}" for one in result.get("failures") or ()]
                result["warnings"] = [*(result.get("warnings") or ()), *said]
        return result
