# SPDX-License-Identifier: Apache-2.0
"""exec: a program whose exit status is 0."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from types import TracebackType
from typing import Final

from mesh_agent.health.result import Unhealthy
from mesh_agent.health.settings import Exec

_KEPT_BYTES: Final = 300
_KILL_SECONDS: Final = 1.0
_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}


async def probe_exec(settings: Exec) -> None:
    """Run the program as the agent's user, in a process group that is killed if we are cancelled.

    It gets none of our environment: sockets and notifications of the unit are not its business.
    """
    with _ErrorOutput() as errors:
        process = await asyncio.create_subprocess_exec(
            *settings.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors.descriptor,
            env=_ENVIRONMENT,
            start_new_session=True,
        )
        try:
            status = await process.wait()
        finally:
            if process.returncode is None:
                await _kill(process)
        if status:
            ended = f"exit status {status}" if status > 0 else f"signal {-status}"
            raise Unhealthy(f"{settings.command[0]}: {ended}{errors.text()}")


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    # Not for ever: a process that hangs in the kernel must not keep the agent from its own end.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_KILL_SECONDS):
            await process.wait()


class _ErrorOutput:
    """The first bytes of what a program says on standard error.

    All is read, so that it never waits for us; its end is not waited for, as what the program left
    running may hold it open.
    """

    def __enter__(self) -> _ErrorOutput:
        self._kept = b""
        self._read_end, self.descriptor = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read_end, False)
        asyncio.get_running_loop().add_reader(self._read_end, self._read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.descriptor)

    def text(self) -> str:
        """Return it as one line, after a colon, or nothing."""
        self._read()
        line = " ".join(self._kept.decode(errors="replace").split())
        return f": {line}" if line else ""

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._kept = (self._kept + os.read(self._read_end, 65536))[:_KEPT_BYTES]
