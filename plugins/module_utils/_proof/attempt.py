# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One real call, from the name to the last byte, as plain data."""

from __future__ import annotations

import contextlib
import socket
import time
import typing as t
from dataclasses import dataclass

from .dial import Deadline, ProofPorts, RefusedError, UnreachableError, dial
from .speak import GarbledError, SilentError, speak
from .target import Target

# What the caller itself saw; the evidence may give it another meaning.
ANSWERED = "answered"
CLOSED = "closed"
SILENT = "silent"
UNREACHED = "unreached"
GARBLED = "garbled"

#: Seconds for the other side to close after the answer, so that the port may rest there.
_LINGER = 0.5


@dataclass(frozen=True)
class Attempt:
    """began, ended: seconds since the epoch by the host's clock; port: None if never bound."""

    kind: str
    reason: str
    began: float
    ended: float
    port: int | None = None
    status: int | None = None
    body: str = ""


def make_attempt(
    target: Target,
    ports: ProofPorts,
    timeout: float,
    now: t.Callable[[], float] = time.time,
) -> Attempt:
    """Calls the target once. Raises OSError when the host has no free proof port left."""
    deadline, began = Deadline(timeout), now()
    try:
        connection = dial(target.host, target.port, ports, deadline)
    except RefusedError as error:
        return Attempt(CLOSED, str(error), began, now())
    except UnreachableError as error:
        return Attempt(UNREACHED, str(error), began, now())
    port, sock = connection.port, connection.sock
    with contextlib.closing(sock):
        try:
            answer = speak(sock, target, deadline)
        except RefusedError as error:
            return Attempt(CLOSED, str(error), began, now(), port)
        except SilentError as error:
            return Attempt(SILENT, str(error), began, now(), port)
        except GarbledError as error:
            return Attempt(GARBLED, str(error), began, now(), port)
        ended = now()
        _part(sock)
    said = f"HTTP {answer.status}" if answer.status else _first_line(answer.body)
    return Attempt(ANSWERED, said, began, ended, port, answer.status, answer.body)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:80]


def _part(sock: socket.socket) -> None:
    """Ends our half and waits a moment for the other one."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(_LINGER)
        while sock.recv(4096):
            pass
