# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import tempfile
import threading
import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Seconds between two looks into the file.
_BEAT = 0.5


class ActionModule(ActionBase):
    """Shows how far the module is while it runs; the module itself has the documentation.

    A module can only speak when it ends. It writes lines to a file instead, and they are shown from
    here, where it runs on the controller and both see the same file. A module that becomes another
    user cannot write to it, and then nothing is shown.
    """

    def run(
        self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None
    ) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        here = self._connection.transport == "local"
        if not here or arguments.get("progress_file"):
            return self._module(result, arguments, task_vars)
        handle, path = tempfile.mkstemp(prefix="hybrid-mesh-progress-")
        done = threading.Event()
        with os.fdopen(handle, encoding="utf-8") as stream:
            watcher = threading.Thread(target=_show, args=(stream, done), daemon=True)
            watcher.start()
            try:
                return self._module(result, {**arguments, "progress_file": path}, task_vars)
            finally:
                done.set()
                watcher.join()
                os.unlink(path)

    def _module(
        self,
        result: dict[str, t.Any],
        arguments: dict[str, t.Any],
        task_vars: dict[str, t.Any] | None,
    ) -> dict[str, t.Any]:
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        return result


def _show(stream: t.TextIO, done: threading.Event) -> None:
    """Display each line of the file as it comes."""
    display = Display()
    while not done.wait(_BEAT):
        for line in stream:
            display.display(f"  {line.rstrip()}")
