# SPDX-License-Identifier: Apache-2.0
"""Short-lived Python processes, for what is needed seldom and would stay in memory for good."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


class Apart:
    """A child whose stdin and stdout are the other end of ``channel``."""

    # No dataclass: this is loaded before the first child is started, and should be little.
    __slots__ = ("channel", "process")

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self.process, self.channel = process, channel

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def read(self, seconds: float) -> bytes:
        """Return all that it writes until it ends; TimeoutError after ``seconds`` of silence."""
        self.channel.settimeout(seconds)
        with self.channel.makefile("rb") as stream:
            return stream.read()

    def end(self) -> None:
        """Kill it if need be, and let go of it."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


def start(module: str, *arguments: str) -> Apart:
    """Start ``main()`` of a module in a process of its own; OSError when that cannot be."""
    ours, theirs = socket.socketpair()
    # It ends before it is worth while to look for garbage.
    program = f"import gc; gc.disable(); from {module} import main; main()"
    # Not from the current directory (-P), which may be anybody's.
    command = [sys.executable, "-P", "-S", "-c", program, *arguments]
    # A launcher may have put the runtime on sys.path by other means than the environment.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with theirs:
        try:
            process = subprocess.Popen(  # noqa: S603 - ourselves
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), env=environment
            )
        except OSError:
            ours.close()
            raise
    return Apart(process, ours)
