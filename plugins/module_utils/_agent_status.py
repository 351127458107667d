# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What a host's agent says of itself; that there is none is an answer too."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._program import (
    Answer,
    ProgramError,
    parse_json,
    run,
)

PROGRAM = "/opt/hybrid-mesh/runtime/current/bin/mesh-agent"
# Exit code of `mesh-agent status` when no agent answers.
NOT_RUNNING = 3


def ask(program: str) -> dict[str, t.Any]:
    """``state``, ``ready``, ``needs_token``, ``status`` and ``message``, as agent_info has them."""
    argv = [program, "status", "--json"]
    if not os.path.exists(program):
        return _without_status("absent", f"{program} does not exist")
    try:
        return _understand(argv, run(argv))
    except ProgramError as exc:
        # A broken installation is what the caller is about to repair: tell, and do not fail.
        return _without_status("stopped", str(exc))


def _without_status(state: str, message: str) -> dict[str, t.Any]:
    return {"state": state, "ready": False, "needs_token": True, "status": {}, "message": message}


def _understand(argv: list[str], answer: Answer) -> dict[str, t.Any]:
    """What the program answered. Raises ProgramError when that makes no sense."""
    if answer.code == NOT_RUNNING:
        return _without_status("stopped", answer.complaint)
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
