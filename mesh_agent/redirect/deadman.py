# SPDX-License-Identifier: Apache-2.0
"""The dead man's switch: a timer of systemd's that takes the table away unless it is stopped.

It outlives us, our connection and our mistakes: systemd runs the removal by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mesh_agent.redirect.nft import Run, run
from mesh_core.errors import MeshError

UNIT: Final = "mesh-redirect-deadman"
REMOVE_COMMAND: Final = ("/opt/hybrid-mesh/runtime/current/bin/mesh-agent", "redirect", "remove")


class DeadMan:
    """One switch for the host."""

    def __init__(self, command: Sequence[str] = REMOVE_COMMAND, run: Run = run) -> None:
        """``command`` is what is run when nobody stops the timer."""
        self._run = run
        self._command = tuple(command)

    def arm(self, seconds: int) -> None:
        """Start the timer, in place of one that runs; MeshError when systemd will not."""
        self.disarm()
        outcome = self._run(
            [
                "systemd-run",
                f"--unit={UNIT}",
                f"--on-active={seconds}s",
                "--timer-property=AccuracySec=1s",
                "--collect",
                "--quiet",
                "--",
                *self._command,
            ],
            "",
        )
        if outcome.code:
            raise MeshError(
                f"systemd-run could not start {UNIT}.timer: {outcome.errors.strip()}; "
                "nothing was applied"
            )

    def disarm(self) -> bool:
        """Stop the timer; return whether there was one."""
        armed = self._run(["systemctl", "is-active", "--quiet", f"{UNIT}.timer"], "").code == 0
        if armed:
            outcome = self._run(["systemctl", "stop", f"{UNIT}.timer"], "")
            if outcome.code:
                raise MeshError(f"systemctl could not stop {UNIT}.timer: {outcome.errors.strip()}")
        return armed
