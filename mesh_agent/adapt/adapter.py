# SPDX-License-Identifier: Apache-2.0
"""Resources fitted to the Envoy in use. Pure."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Abilities, Workload
from mesh_agent.adapt.chains import ListenerAdapter
from mesh_agent.adapt.clusters import adapt_cluster
from mesh_core.wire import types

OPENED = frozenset({types.LISTENER, types.CLUSTER})
"""Types whose resources are opened; others pass as bytes."""


class Adapter:
    """Fits resources to one Envoy; ``active`` is False for one that lacks nothing.

    An Envoy that names no extension at all is taken for one that lacks nothing: what it lacks is
    not known, and it says so itself when it refuses.
    """

    def __init__(self, abilities: Abilities, workload: Workload) -> None:
        self._exchange = abilities.has(words.TCP_EXCHANGE)
        self._alpn = abilities.has(words.ALPN)
        self._listeners = ListenerAdapter(abilities, workload)
        lacks = not (
            self._exchange
            and self._alpn
            and abilities.has(words.STATS)
            and abilities.has(words.HTTP_EXCHANGE)
        )
        self.active = bool(abilities.names or abilities.types) and lacks

    @classmethod
    def of(cls, node: Any) -> Adapter:
        """Make the adapter for the Envoy whose first request has this node."""
        return cls(Abilities.of(node), Workload.of(node))

    def resource(self, type_url: str, body: bytes) -> bytes:
        """Return a serialized resource fitted; one that cannot be read as it came."""
        if not self.active:
            return body
        try:
            if type_url == types.LISTENER:
                return self._listeners.adapt(body)
            if type_url == types.CLUSTER:
                return adapt_cluster(body, exchange=self._exchange, alpn=self._alpn)
        except DecodeError:
            pass  # Envoy refuses it, and says so with its name
        return body
