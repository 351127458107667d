# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What is said over a call's connection, protocol by protocol, and what came back."""

from __future__ import annotations

import http.client
import socket
import struct
import typing as t
from dataclasses import dataclass

from .dial import Deadline, RefusedError
from .target import Target

#: Bytes of an answer that are looked at.
_ANSWER_LIMIT = 65536

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_PROTOCOL_3 = 3 << 16
_AUTHENTICATION = {
    0: "lets the user in without a password",
    3: "asks for a password",
    5: "asks for an MD5 password",
    7: "asks for GSSAPI",
    9: "asks for SSPI",
    10: "asks for SASL",
}
_TLS_ALERTS = {
    40: "handshake failure",
    42: "bad certificate",
    46: "certificate unknown",
    48: "unknown certificate authority",
    70: "protocol version",
    80: "internal error",
    112: "unrecognized name",
    116: "certificate required",
}


class GarbledError(Exception):
    """Something answered, in another protocol."""


class SilentError(Exception):
    """The connection stood, and nothing came over it in time."""


@dataclass(frozen=True)
class Answer:
    """status: of HTTP; body: the answer, or for other protocols a description of it."""

    body: str
    status: int | None = None


def speak(sock: socket.socket, target: Target, deadline: Deadline) -> Answer:
    """Makes the call over a fresh connection. Raises RefusedError, SilentError or GarbledError."""
    speaker = {"http": _http, "postgres": _postgres, "tcp": _tcp}[target.scheme]
    try:
        return speaker(sock, target, deadline)
    except socket.timeout as error:
        raise SilentError(f"connected, but no answer within {deadline.seconds:g} s") from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise RefusedError("connected, then reset without an answer") from error


def _http(sock: socket.socket, target: Target, deadline: Deadline) -> Answer:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    sock.settimeout(deadline.left())
    try:
        connection.request(
            "GET",
            target.path,
            headers={"User-Agent": "hybrid.mesh", "Accept": "*/*", "Connection": "close"},
        )
        response = connection.getresponse()
    except http.client.RemoteDisconnected as error:
        raise _closed() from error
    except http.client.BadStatusLine as error:
        line = str(error.args[0])
        _raise_alert(line.encode("latin-1", "replace"))
        raise GarbledError(f"the answer is not HTTP: {line[:60]!r}") from error
    except http.client.HTTPException as error:
        raise GarbledError(f"the answer is not HTTP: {error!r}") from error
    with response:
        body = _body(sock, response, deadline)
    return Answer(body.decode("utf-8", "replace"), response.status)


def _body(sock: socket.socket, response: http.client.HTTPResponse, deadline: Deadline) -> bytes:
    body = b""
    try:
        # A response may close itself when it is complete, and with it the socket.
        while len(body) < _ANSWER_LIMIT and not response.isclosed():
            sock.settimeout(deadline.left())
            piece = response.read1(_ANSWER_LIMIT - len(body))
            if not piece:
                break
            body += piece
        else:
            return body
        if response.length:
            raise http.client.IncompleteRead(body, response.length)
    except (ConnectionError, http.client.HTTPException) as error:
        raise GarbledError(
            f"HTTP {response.status}, but the answer breaks off after {len(body)} bytes"
        ) from error
    return body


def _postgres(sock: socket.socket, target: Target, deadline: Deadline) -> Answer:
    _send(sock, _SSL_REQUEST, deadline)
    reply = _receive(sock, 1, deadline)
    if reply == b"S":
        return Answer("PostgreSQL, offers TLS")
    if reply == b"E":
        return Answer("PostgreSQL, does not know the request for TLS")
    if reply != b"N":
        _raise_alert(reply + sock.recv(6))
        raise GarbledError(f"the answer is not PostgreSQL's: {reply!r}")
    user, database = target.user or "mesh", target.path.strip("/") or target.user or "mesh"
    words = f"user\0{user}\0database\0{database}\0\0".encode()
    _send(sock, struct.pack("!II", len(words) + 8, _PROTOCOL_3) + words, deadline)
    kind, length = struct.unpack("!cI", _receive(sock, 5, deadline))
    payload = _receive(sock, min(max(length - 4, 0), _ANSWER_LIMIT), deadline)
    if kind == b"R":
        number = struct.unpack("!I", payload[:4].rjust(4, b"\0"))[0]
        return Answer(f"PostgreSQL, {_AUTHENTICATION.get(number, f'authentication {number}')}")
    if kind == b"E":
        return Answer(f"PostgreSQL, {_error_text(payload)}")
    raise GarbledError(f"the answer is not PostgreSQL's: message {kind!r}")


def _tcp(sock: socket.socket, _target: Target, deadline: Deadline) -> Answer:
    # Servers that let the client speak first, and proxies that look at the first bytes, say
    # nothing to silence. Most servers, of HTTP or not, have an answer to this.
    _send(sock, b"GET / HTTP/1.0\r\n\r\n", deadline)
    sock.settimeout(deadline.left())
    data = sock.recv(_ANSWER_LIMIT)
    if not data:
        raise _closed()
    _raise_alert(data)
    return Answer(data.decode("utf-8", "backslashreplace"))


def _send(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    sock.settimeout(deadline.left())
    sock.sendall(data)


def _receive(sock: socket.socket, size: int, deadline: Deadline) -> bytes:
    data = b""
    while len(data) < size:
        sock.settimeout(deadline.left())
        piece = sock.recv(size - len(data))
        if not piece:
            raise _closed()
        data += piece
    return data


def _closed() -> RefusedError:
    return RefusedError("connected, then closed without an answer")


def _raise_alert(data: bytes) -> None:
    """A TLS alert record is a refusal: its last byte is the description (RFC 8446, 6)."""
    if len(data) >= 3 and data[0] == 0x15 and data[1] == 0x03:
        number = data[6] if len(data) >= 7 else -1
        name = _TLS_ALERTS.get(number, f"number {number}")
        raise RefusedError(f"connected, then refused by a TLS alert: {name}")


def _error_text(payload: bytes) -> str:
    """The message field of an ErrorResponse: fields are a type byte and a C string."""
    fields: t.Iterable[bytes] = payload.split(b"\0")
    for field in fields:
        if field[:1] == b"M":
            return field[1:].decode("utf-8", "replace")
    return "an error without a message"
