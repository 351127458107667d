# SPDX-License-Identifier: Apache-2.0
"""Resources fitted to the Envoy in use. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from google.protobuf.message import DecodeError

from mesh_agent.adapt import families, words
from mesh_agent.adapt.abilities import Abilities, Workload
from mesh_agent.adapt.chains import ListenerAdapter
from mesh_agent.adapt.clusters import adapt_cluster
from mesh_core.wire import types

OPENED = frozenset({types.LISTENER, types.CLUSTER})
"""Types whose resources are opened; others pass as bytes."""


class Adapter:
    """Fits resources to one Envoy and its host; ``active`` is False when there is nothing to do.

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
        self._lacks = bool(abilities.names or abilities.types) and lacks
        self._ipv6 = workload.has_ipv6
        self.active = self._lacks or self._ipv6

    @classmethod
    def of(cls, node: Any) -> Adapter:
        """Make the adapter for the Envoy whose first request has this node."""
        return cls(Abilities.of(node), Workload.of(node))

    @property
    def ignored(self) -> Collection[str]:
        """What the control plane asked for and this Envoy cannot do, in words, oldest first."""
        return self._listeners.ignored.keys()

    def resource(self, type_url: str, body: bytes) -> bytes:
        """Return a serialized resource fitted; one that cannot be read as it came."""
        try:
            if type_url == types.LISTENER:
                return self._listener(body)
            if type_url == types.CLUSTER:
                return self._cluster(body)
        except DecodeError:
            pass  # Envoy refuses it, and says so with its name
        return body

    def _listener(self, body: bytes) -> bytes:
        fitted = self._listeners.adapt(body) if self._lacks else body
        return families.listen(fitted) if self._ipv6 else fitted

    def _cluster(self, body: bytes) -> bytes:
        fitted = body
        if self._lacks:
            fitted = adapt_cluster(body, exchange=self._exchange, alpn=self._alpn)
        return families.call(fitted) if self._ipv6 else fitted
