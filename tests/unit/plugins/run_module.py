# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module's ``main`` as Ansible does, in this process."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

from ansible.module_utils.testing import patch_module_args


def run_module(
    main: Callable[[], None], arguments: dict[str, Any], *, check: bool = False
) -> dict[str, Any]:
    """The module's result. ``failed`` is in it when the module failed."""
    output = io.StringIO()
    wanted = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    with (
        patch_module_args(wanted),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        main()
    result: dict[str, Any] = json.loads(output.getvalue())
    return result
