# SPDX-License-Identifier: Apache-2.0
"""What a service says to systemd and gets from it: sd_notify(3), sd_listen_fds(3), the journal.

The three protocols are a datagram, two environment variables and a prefix: no library is needed.
"""

from __future__ import annotations

import logging
import os
import socket
import sys

_FIRST_DESCRIPTOR = 3
_PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


def notify(*assignments: str) -> bool:
    """Send e.g. ``READY=1``, ``STATUS=...`` to the service manager; False when there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            # A manager that is busy must not hold up the loop.
            channel.sendto("\n".join(assignments).encode(), socket.MSG_DONTWAIT, address)
        except OSError as error:
            logging.getLogger(__name__).warning("systemd was not notified: %s", error)
            return False
    return True


def watchdog_seconds() -> float | None:
    """Return the unit's WatchdogSec for this process, or None when it has none."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = int(os.environ.get("WATCHDOG_USEC", "0"))
    return microseconds / 1e6 if microseconds else None


def listen_sockets() -> list[socket.socket]:
    """Return the sockets that a socket unit holds for this process, in the unit's order."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    sockets = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + count):
        os.set_inheritable(descriptor, False)
        inherited = socket.socket(fileno=descriptor)
        inherited.setblocking(False)
        sockets.append(inherited)
    return sockets


class _PriorityFormatter(logging.Formatter):
    """Prefix ``<N>`` so that the journal knows the priority of lines from stderr."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in text.splitlines())


def setup_logging(level: str = "INFO") -> None:
    """Log to stderr: for the journal with priorities, for a person who looks on with the time."""
    handler = logging.StreamHandler(sys.stderr)
    if os.environ.get("JOURNAL_STREAM"):
        handler.setFormatter(_PriorityFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
