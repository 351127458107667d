# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Questions to a running Envoy, over the unix socket of its administration interface."""

from __future__ import annotations

import http.client
import json
import socket
import typing as t

_TIMEOUT_SECONDS = 20


class AdminError(Exception):
    """Envoy does not answer, or with something else than asked for; the text is for users."""


class Admin:
    """The administration interface behind ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get(self, target: str) -> dict[str, t.Any]:
        """A JSON object. Raises AdminError."""
        connection = _Connection(self._path)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            raise AdminError(f"{self._path}: Envoy does not answer: {reason}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise AdminError(f"{self._path}: Envoy answered {answer.status} to {target}")
        try:
            found = json.loads(body)
        except ValueError as error:
            raise AdminError(f"{self._path}: expected JSON from {target}: {error}") from error
        if not isinstance(found, dict):
            raise AdminError(f"{self._path}: expected an object from {target}")
        return found


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
