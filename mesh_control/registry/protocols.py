# SPDX-License-Identifier: Apache-2.0
"""Which protocol a port speaks, as Istio decides it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_control.model import Protocol

_WORDS: Mapping[str, Protocol] = {
    "http": Protocol.HTTP,
    "http2": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "kubernetes.io/ws": Protocol.HTTP,
    "grpc": Protocol.GRPC,
    "grpc-web": Protocol.HTTP2,
    "tcp": Protocol.TCP,
    "tls": Protocol.TLS,
    "https": Protocol.HTTPS,
    "kubernetes.io/wss": Protocol.HTTPS,
    "mongo": Protocol.TCP,
    "mysql": Protocol.TCP,
    "postgres": Protocol.TCP,
    "postgresql": Protocol.TCP,
    "redis": Protocol.TCP,
}
# The server speaks first, or the protocol is known: nothing could be learnt from the first bytes.
_TCP_PORTS = frozenset({25, 53, 3306, 27017})


def protocol(name: str, number: int, explicit: str = "") -> Protocol:
    """Return the protocol by ``explicit`` (appProtocol, or a ServiceEntry's), or the port's name.

    ``name`` is ``PROTOCOL`` or ``PROTOCOL-suffix``; anything else is AUTO, except on ports where
    the server is known to speak first.
    """
    if explicit:
        found = _WORDS.get(explicit.lower())
    else:
        lower = name.lower()
        word = "grpc-web" if lower.startswith("grpc-web") else lower.partition("-")[0]
        found = _WORDS.get(word)
    if found is not None:
        return found
    return Protocol.TCP if number in _TCP_PORTS else Protocol.AUTO
