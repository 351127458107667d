# SPDX-License-Identifier: Apache-2.0
"""The control plane as a process: signals, and one process for each state directory."""

from __future__ import annotations

import asyncio
import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh_control.app import ControlPlane
from mesh_control.settings import Settings
from mesh_core.errors import MeshError


async def serve(settings: Settings) -> None:
    """Run the control plane in this process: SIGTERM and SIGINT end it, SIGHUP reads objects."""
    with _only_one(settings.state):
        try:
            plane = ControlPlane(settings)
        except OSError as error:
            raise _unusable(error, settings.state) from error
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, plane.reload)
        await plane.run(stop)


@contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Hold the state directory: two processes would let a token be used twice."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise _unusable(error, state) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MeshError(f"{state}: another mesh-control is running on it") from error
        yield


def _unusable(error: OSError, state: Path) -> MeshError:
    return MeshError(
        f"{error.filename or state}: expected to be readable and writable by this user: "
        f"{error.strerror}"
    )
