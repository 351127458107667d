# SPDX-License-Identifier: Apache-2.0
"""The host's resolv.conf, which changes while we run (DHCP, VPNs, network managers)."""

from __future__ import annotations

import logging
from pathlib import Path

from mesh_agent.dns.resolvconf import ResolvConf, parse_resolv_conf

log = logging.getLogger(__name__)


class ResolvConfFile:
    """``current`` is what the file said when it could last be read."""

    def __init__(self, path: Path) -> None:
        """Nothing is read before the first ``refresh``."""
        self.current = ResolvConf()
        self._path = path
        self._stamp: tuple[int, ...] = ()

    def refresh(self) -> bool:
        """Look whether the file changed; return whether it says something new.

        One stat(2), through links. A file that cannot be read changes nothing.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._stamp:
                return False
            found = parse_resolv_conf(self._path.read_text(encoding="utf-8", errors="replace"))
        except OSError as error:
            if self._stamp != (error.errno,):
                log.warning("%s cannot be read: %s", self._path, error.strerror)
            self._stamp = (error.errno or 0,)
            return False
        changed, self.current, self._stamp = found != self.current, found, stamp
        return changed
