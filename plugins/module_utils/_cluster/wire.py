# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""HTTP to one server over connections that are kept, from several threads at a time.

The standard library's own client: for many small requests it takes half the time that urllib3
does. That one is for proxies.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import tempfile
import typing as t
import urllib.parse
import weakref
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import proxies
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access

# Requests that run beside each other: more than this only queues in the API server.
CONNECTIONS = 16
CONNECT_SECONDS = 10.0
# The API server itself ends a request after as long.
ANSWER_SECONDS = 60.0

# Two before Python 3.10.
_TIMEOUTS = (TimeoutError, socket.timeout)
# Given to any context by Python 3.13 and newer; the number is OpenSSL's.
_PARTIAL_CHAIN = getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0x80000)

Headers = t.Sequence[t.Tuple[str, str]]


class BrokenError(Exception):
    """The connection broke: the request may be made again."""


@dataclass(frozen=True)
class Answer:
    """What came back; ``retry_after`` is that header's value."""

    status: int
    data: bytes
    retry_after: str = ""


class Connections(t.Protocol):
    """Requests to a server, ``path`` with the query. Raises BrokenError and OSError."""

    def request(
        self, method: str, path: str, headers: Headers, body: bytes | None = None
    ) -> Answer: ...


def connections(
    access: Access, no_proxy: str | None, proxy_headers: t.Mapping[str, str | None]
) -> Connections:
    """Connections to the server of ``access``; nothing is sent yet.

    ``proxy_headers`` are arguments of urllib3's make_headers.

    Raises OSError or ValueError when certificates, address or proxy are none.
    """
    server, tls = proxies.chosen(access, no_proxy), context(access)
    if server:
        from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import proxied

        through: Connections = proxied.Proxied(access, server, tls, proxy_headers)
        return through
    return Direct(access.server, tls, access.server_name)


class Direct:
    """Connections to one server. As many are kept as were used at one time."""

    def __init__(self, url: str, context: ssl.SSLContext, server_name: str = "") -> None:
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._context = context if parts.scheme == "https" else None
        self._server_name = server_name or self._host
        # A server behind a gateway may have one.
        self._prefix = parts.path.rstrip("/")
        self._idle: list[http.client.HTTPConnection] = []
        weakref.finalize(self, _close, self._idle)

    def request(
        self, method: str, path: str, headers: Headers, body: bytes | None = None
    ) -> Answer:
        """One request and its answer. Raises BrokenError and OSError."""
        target = self._prefix + path
        try:
            kept = self._idle.pop()
        except IndexError:
            pass
        else:
            # The server may have closed it meanwhile. That says nothing about a new one.
            with contextlib.suppress(BrokenError):
                return self._exchanged(kept, method, target, headers, body)
        try:
            fresh = _Connection(self._host, self._port, self._context, self._server_name)
        except http.client.InvalidURL as exc:
            raise OSError(str(exc)) from exc
        return self._exchanged(fresh, method, target, headers, body)

    def _exchanged(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Headers,
        body: bytes | None,
    ) -> Answer:
        try:
            answer = _exchange(connection, method, target, headers, body)
        except BaseException:
            connection.close()
            # What broke it, a server that starts anew, broke those that wait here, too.
            _close(self._idle)
            raise
        self._idle.append(connection)
        return answer


class _Connection(http.client.HTTPConnection):
    """A connection over TLS, if there is a context, to the server of that name."""

    def __init__(
        self, host: str, port: int | None, context: ssl.SSLContext | None, server_name: str
    ) -> None:
        usual = http.client.HTTP_PORT if context is None else http.client.HTTPS_PORT
        super().__init__(host, port or usual, timeout=CONNECT_SECONDS)
        self._tls, self._server_name = context, server_name

    def connect(self) -> None:
        super().connect()
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)
        self.sock.settimeout(ANSWER_SECONDS)


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Headers,
    body: bytes | None,
) -> Answer:
    try:
        if connection.sock is None:
            connection.connect()
    except ConnectionResetError as exc:
        raise BrokenError(str(exc)) from exc
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        data = answer.read()
    except ssl.SSLError as exc:
        if isinstance(exc, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            raise BrokenError(str(exc)) from exc
        # The server does not take our certificate: it would not the next time.
        raise
    except (ValueError, http.client.InvalidURL):
        raise unsendable() from None
    except _TIMEOUTS as exc:
        # Not asked again: it was waited for long enough, and so would the next one be.
        raise silent() from exc
    except (http.client.HTTPException, OSError) as exc:
        raise BrokenError(str(exc) or type(exc).__name__) from exc
    return Answer(answer.status, data, answer.getheader("Retry-After") or "")


def silent() -> OSError:
    """The error for a server that took a request and says nothing."""
    return OSError(f"no answer to a request within {ANSWER_SECONDS:g} s")


def unsendable() -> OSError:
    """The error for a request that is none, to be raised without its cause.

    The cause shows the header, and that may be the token.
    """
    return OSError("the token, another header or the path holds characters that HTTP cannot carry")


def _close(idle: list[http.client.HTTPConnection]) -> None:
    while idle:
        with contextlib.suppress(IndexError):  # another thread took the last one
            idle.pop().close()


def context(access: Access) -> ssl.SSLContext:
    """What TLS to the server takes. Raises OSError or ValueError for certificates that are none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # An intermediate CA may be all that is trusted, as kubectl has it.
    context.verify_flags |= _PARTIAL_CHAIN
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif access.ca_cert:
        context.load_verify_locations(cadata=access.ca_cert)
    else:
        context.load_default_certs()
    if access.client_cert:
        # OpenSSL reads these from files only.
        with tempfile.TemporaryDirectory(prefix="hybrid-mesh-") as folder:
            certificate = _written(folder, "certificate", access.client_cert)
            key = _written(folder, "key", access.client_key or access.client_cert)
            context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _written(folder: str, name: str, text: str) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as stream:
        stream.write(text)
    return path


def _no_password() -> str:
    raise ValueError("client_key: expected a key that is not encrypted")
