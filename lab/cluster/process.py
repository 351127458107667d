# SPDX-License-Identifier: Apache-2.0
"""A program that runs beside the tests, and never longer than they do."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from lab.cluster.command import Command
from lab.errors import LabError

# Of the log's end, in an error.
TAIL_LINES = 25
POLL_SECONDS = 0.05


class Process:
    """One command as a child in a session of its own, its output in a file."""

    def __init__(self, command: Command, log: Path, directory: Path) -> None:
        self.command = command
        self.log = log
        self._directory = directory
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._child.pid if self._child is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start it, unless it runs. The log goes on where an earlier run ended.

        The kernel kills the child when the thread that called this ends, however that happens: a
        test run that is killed leaves nothing behind. So call it from a thread that stays.
        """
        if self.running:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            try:
                self._child = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "--", *self.command.argv],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    env={**_inherited(), **self.command.environment},
                    start_new_session=True,
                )
            except FileNotFoundError as error:
                raise LabError("setpriv is not installed: it is part of util-linux") from error

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for `ready`; LabError with the log's end when the process ends or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise LabError(f"{self.command.name} ended with {self._status()}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise LabError(
                    f"{self.command.name} is not ready after {seconds:g} s\n{self.tail()}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self, seconds: float = 10.0) -> None:
        """Ask it to end, and kill it if it does not within `seconds`."""
        self._end(signal.SIGTERM)
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it as a power failure would."""
        self._end(signal.SIGKILL)
        if self._child is not None:
            self._child.wait(10)

    def tail(self) -> str:
        """The end of the log, under a line that says which log it is."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([f"The end of {self.log}:", *lines[-TAIL_LINES:]])

    def _end(self, number: signal.Signals) -> None:
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def _status(self) -> str:
        code = None if self._child is None else self._child.returncode
        return "no status" if code is None else f"status {code}"


def _inherited() -> dict[str, str]:
    """Of this process's environment only what programs need anywhere: no KUBECONFIG of a user."""
    return {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
