# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What it takes to reach an API server, as values, whatever they were read from."""

from __future__ import annotations

import base64
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError


def _nobody() -> str | None:
    return None


@dataclass(frozen=True)
class Access:
    """An API server and who asks it. Texts are empty where nothing is said; keys and such are PEM.

    ``authorization`` gives the header's value for a request that is made now.
    """

    server: str = ""
    ca_cert: str = ""
    client_cert: str = ""
    client_key: str = ""
    server_name: str = ""  # as TLS asks for it, where it is not the server's
    verify: bool = True
    proxy: str = ""
    authorization: t.Callable[[], t.Optional[str]] = _nobody


def bearer(token: str) -> t.Callable[[], str | None]:
    """The authorization of a token that stays the same."""
    return lambda: f"Bearer {token}"


def bearer_in(path: str, where: str) -> t.Callable[[], str | None]:
    """The authorization of the token in a file, where another one may be put at any time.

    Raises ClusterError naming ``where``, now or when it is asked for.
    """

    def authorization() -> str:
        return f"Bearer {pem(path, where).strip()}"

    authorization()
    return authorization


def basic(user: str, password: str) -> t.Callable[[], str | None]:
    """The authorization of a user with a password (RFC 7617)."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return lambda: f"Basic {pair}"


def unreadable(where: str, exc: OSError) -> ClusterError:
    """The error for a file that cannot be read."""
    return ClusterError(f"{where}: cannot be read: {exc.strerror} ({exc.filename})")


def pem(path: str | None, where: str) -> str:
    """The text of a PEM file, empty without one. Raises ClusterError naming ``where``."""
    if not path:
        return ""
    full = os.path.expanduser(path)
    try:
        # What is not ASCII is a comment.
        with open(full, encoding="ascii", errors="ignore") as stream:
            return stream.read()
    except OSError as exc:
        raise unreadable(where, exc) from exc
