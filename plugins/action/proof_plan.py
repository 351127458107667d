# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._proof.plan import CALL_KEYS, PlanError, make_plan


class ActionModule(ActionBase):
    """Runs on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {
                "calls": {"type": "list", "elements": "raw", "required": True},
                "limit": {"type": "list", "elements": "str"},
            }
        )
        groups = (task_vars or {}).get("groups") or {}
        try:
            calls = make_plan(arguments["calls"], groups.get("all") or [], set(groups))
        except PlanError as error:
            raise AnsibleActionFail(str(error)) from error
        limit = arguments["limit"]
        chosen = [call for call in calls if limit is None or call["from"] in limit]
        if not chosen:
            raise AnsibleActionFail(
                f"None of the {len(calls)} calls of mesh_calls starts at a host of this run."
            )
        callers: dict[str, list[dict[str, t.Any]]] = {}
        for call in chosen:
            own = {key: call[key] for key in CALL_KEYS if call.get(key) is not None}
            callers.setdefault(call["from"], []).append(own)
        result.update(
            changed=False, calls=chosen, callers=callers, left_out=len(calls) - len(chosen)
        )
        return result
