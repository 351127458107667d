# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from datetime import datetime, timezone
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils._proof.document import to_json
from ..module_utils._proof.junit import to_junit
from ..module_utils._proof.page import to_page
from ..module_utils._proof.results import Report, make_report
from ..module_utils._proof.table import to_table
from ..module_utils._proof.topology import Host, read_host

_COLOURS = {"ok": "green", "failed": "red", "plain": None}
_ARGUMENTS = {
    "calls": {"type": "list", "elements": "dict", "required": True},
    "made": {"type": "dict", "required": True},
    "directory": {"type": "path", "required": True},
    "mesh": {"type": "str", "default": "mesh1"},
    "hosts": {"type": "list", "elements": "str"},
}


class ActionModule(ActionBase):
    """Runs on the controller; see the module of the same name for its documentation."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(_ARGUMENTS)
        variables = task_vars or {}
        calls = arguments["calls"]
        names = arguments["hosts"]
        if names is None:
            members = (variables.get("groups") or {}).get("mesh") or []
            names = list(dict.fromkeys([*members, *(call["from"] for call in calls)]))
        report = make_report(
            mesh=arguments["mesh"],
            finished=datetime.now(timezone.utc),
            hosts=[_host(name, variables) for name in names],
            calls=calls,
            made=arguments["made"],
        )
        _print(report)
        directory = Path(arguments["directory"])
        result.update(
            changed=False,
            headline=report.headline,
            total=len(report.calls),
            failed_calls=[f"{call.number} {call.title}" for call in report.failed],
            files=[] if self._task.check_mode else _write(report, directory),
        )
        if report.failed:
            which = ", ".join(result["failed_calls"])
            result.update(failed=True, msg=f"{report.headline}: {which}.")
        return result


def _host(name: str, variables: t.Mapping[str, t.Any]) -> Host:
    own = (variables.get("hostvars") or {}).get(name) or {}
    return read_host(name, own.get("group_names") or [], own)


def _print(report: Report) -> None:
    display = Display()
    # What Ansible found out of its terminal; COLUMNS speaks where there is none.
    width = max(display.columns, int(os.environ.get("COLUMNS") or 0))
    display.display("")
    for line in to_table(report, width):
        display.display(line.text, color=_COLOURS[line.mood])
    display.display("")


def _write(report: Report, directory: Path) -> list[str]:
    files = {
        "verify.json": to_json(report),
        "verify.xml": to_junit(report),
        "verify.html": to_page(report),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            # A reader of the directory never sees half a file.
            fresh = directory / f".{name}.new"
            fresh.write_text(text, encoding="utf-8", errors="replace")
            fresh.replace(directory / name)
    except OSError as error:
        raise AnsibleActionFail(f"The proof cannot be written: {error}") from error
    return [str(directory / name) for name in files]
