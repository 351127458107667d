# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A server in a pod, asked as from inside the pod: through the API server, as kubectl port-forward.

kubelet gives a forwarded port two channels of a WebSocket, for data and for what went wrong. The
first message of either is the port's number. Every message begins with its channel's number.
"""

from __future__ import annotations

import http.client
import io
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.dial import Socket
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

_DATA, _ERROR = 0, 1
_CLOSE = 8  # RFC 6455, section 5.2


def get(api: Api, namespace: str, pod: str, port: int, path: str) -> bytes:
    """The body that the server on ``localhost:port`` of a pod answers with.

    Takes the verbs create and get on pods/portforward. Raises ClusterError.
    """
    where = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    socket = api.open(where, ports=port)
    try:
        request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"
        socket.send_binary(bytes([_DATA]) + request.encode())
        answer = http.client.HTTPResponse(_Answer(socket))  # type: ignore[arg-type]
        answer.begin()
        body = answer.read()
    except ClusterError:
        raise
    except Exception as exc:  # the WebSocket's own, imported only where it is made
        said = str(exc) or type(exc).__name__
        raise ClusterError(f"port {port}: no answer: {said}", reason="Unreachable") from exc
    finally:
        socket.shutdown()
    if answer.status != 200:
        raise ClusterError(f"port {port}: GET {path}: HTTP {answer.status}", answer.status)
    return body


class _Answer(io.RawIOBase):
    """The data channel, as a file that the HTTP client reads."""

    def __init__(self, socket: Socket) -> None:
        super().__init__()
        self._socket = socket
        self._begun: set[int] = set()
        self._rest = b""

    def makefile(self, *_mode: t.Any) -> io.BufferedReader:
        """As of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        while not self._rest:
            code, message = self._socket.recv_data()
            if code == _CLOSE:
                return 0
            self._take(message[0], message[1:])
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _take(self, channel: int, content: bytes) -> None:
        if channel not in self._begun:
            self._begun.add(channel)
        elif channel == _ERROR:
            raise OSError(content.decode("utf-8", "replace"))
        else:
            self._rest = content
