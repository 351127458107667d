# SPDX-License-Identifier: Apache-2.0
"""One stream as a conversation: requests in, answers out in the order that Envoy needs. Pure.

Order: what others refer to goes first (clusters, their endpoints, listeners, their routes), and
what is removed goes last, in reverse, when nothing refers to it any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mesh_control.ads.rejections import Acknowledgements, Rejection
from mesh_control.ads.resources import EMPTY, Configuration, Resource
from mesh_control.ads.state import TypeState, Update, diff
from mesh_core.wire import types

ORDER = (types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE)


@dataclass(frozen=True, slots=True)
class Node:
    """Who sends a request; on a stream's first request only. ``metadata`` is plain data."""

    id: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request of either protocol.

    ``names``: delta: names to subscribe to; state of the world: all wanted names.
    ``error``: the client's message when it refuses an answer (NACK); None otherwise.
    """

    type_url: str
    names: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    error: str | None = None
    node: Node = field(default_factory=Node)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of either protocol; state of the world has no ``removed``."""

    type_url: str
    version: str
    nonce: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request meant: an accepted answer, or refused resources."""

    accepted: bool = False
    refused: tuple[Rejection, ...] = ()


class Exchange:
    """All types of one stream. ``incremental``: delta protocol."""

    def __init__(self, *, incremental: bool) -> None:
        self._incremental = incremental
        self._states: dict[str, TypeState] = {}
        self._given = EMPTY
        self._count = 0
        self.acknowledgements: dict[str, Acknowledgements] = {}

    def receive(self, request: Request) -> Outcome:
        """Take a request; `answers` then has what it asks for."""
        state = self._state(request.type_url)
        acknowledgements = self.acknowledgements.setdefault(request.type_url, Acknowledgements())
        if not state.started:
            # Whatever nonce it has is another stream's.
            state.start(request.names, request.initial_versions)
            state.due = state.due or not self._incremental
            return Outcome()
        stale = request.nonce != acknowledgements.nonce
        outcome = _acknowledge(acknowledgements, request)
        if self._incremental:
            state.unsubscribe(request.unsubscribe)
            acknowledgements.forget(request.unsubscribe)
            state.subscribe(request.names)
        elif not stale:
            # A stale request's names are older than those of the one that will follow.
            state.replace(request.names)
        return outcome

    def answers(self, configuration: Configuration) -> Iterator[Response]:
        """Yield what the client lacks of ``configuration``, in order.

        Requests may be received between two answers; what they ask for may need another call.
        """
        previous, self._given = self._given, configuration
        order = self._order()
        if previous is not configuration:
            for type_url in order:
                # With what is about to go, so that nothing is removed yet.
                yield from self._answer(type_url, _of(previous, type_url), configuration)
            order.reverse()
        for type_url in order:
            yield from self._answer(type_url, {}, configuration)

    def _answer(
        self, type_url: str, leaving: Mapping[str, Resource], configuration: Configuration
    ) -> Iterator[Response]:
        state = self._states[type_url]
        resources = _of(configuration, type_url)
        if not leaving.keys() <= resources.keys():
            resources = {**leaving, **resources}
        update = diff(resources, state, incremental=self._incremental)
        if update is None:
            return
        state.confirm(update)
        if type_url == types.CLUSTER:
            self._owe_endpoints(update)
        self._count += 1
        nonce = str(self._count)
        names = tuple(r.name for r in update.resources) + update.removed
        self.acknowledgements[type_url].sending(nonce, configuration.version, names)
        removed = update.removed if self._incremental else ()
        yield Response(type_url, configuration.version, nonce, update.resources, removed)

    def _owe_endpoints(self, update: Update) -> None:
        """Endpoints are named as their clusters are."""
        owed = self._state(types.ENDPOINT).owed
        owed.update(resource.name for resource in update.changed)
        owed.difference_update(update.removed)

    def _order(self) -> list[str]:
        started = [type_url for type_url, state in self._states.items() if state.started]
        known = [type_url for type_url in ORDER if type_url in started]
        return known + [type_url for type_url in started if type_url not in ORDER]

    def _state(self, type_url: str) -> TypeState:
        return self._states.setdefault(type_url, TypeState(type_url))


def _acknowledge(acknowledgements: Acknowledgements, request: Request) -> Outcome:
    if request.error is not None:
        return Outcome(refused=tuple(acknowledgements.refuse(request.nonce, request.error)))
    return Outcome(accepted=bool(request.nonce) and acknowledgements.accept(request.nonce))


def _of(configuration: Configuration, type_url: str) -> Mapping[str, Resource]:
    return configuration.resources.get(type_url, {})
