# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What a call's URL names."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

#: Port of a URL without one; a bare TCP call has to name it.
_DEFAULT_PORTS = {"http": 80, "postgres": 5432, "tcp": None}


@dataclass(frozen=True)
class Target:
    """One destination: host is a name or a literal address (IPv6 without brackets)."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    user: str = ""

    @property
    def authority(self) -> str:
        """host:port, as short as it is still clear: without the scheme's own port, and without
        what follows NAME.NAMESPACE in the name of a service.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host.partition(".svc.")[0]
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """http://host[:port]/path, postgres://[user@]host[:port][/database] or tcp://host:port.

    ValueError says what was found and what was expected.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{url!r} has the scheme {parts.scheme!r}, expected http, postgres or tcp")
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    if parts.username and parts.scheme != "postgres":
        raise ValueError(f"{url!r} names a user, which {parts.scheme} calls do not have")
    if parts.password:
        raise ValueError(f"the URL of {parts.hostname} holds a password, which no call needs")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    if not port:
        raise ValueError(f"{url!r} names no port, expected tcp://HOST:PORT")
    path = parts.path or "/"
    if parts.query:
        path += f"?{parts.query}"
    return Target(parts.scheme, parts.hostname, port, path, parts.username or "")
