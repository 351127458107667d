# SPDX-License-Identifier: Apache-2.0
"""What Envoy asked for on a delta stream, what it holds, and what it has not yet judged. Pure.

With this the relay can take a new upstream stream up where the former one ended, without Envoy
noticing: it asks for what Envoy would ask for if it had reconnected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mesh_core.wire import discovery, types

# Clusters before their endpoints, listeners before their routes: the order in which Envoy needs
# them. Other types follow as they came.
_ORDER = (types.CLUSTER, types.ENDPOINT, types.LISTENER, types.ROUTE)
_ANY_NAME = "*"
# Claimed for what Envoy holds and what is to be sent again. Not empty: that may mean "absent".
_UNKNOWN_VERSION = "unknown"


@dataclass(frozen=True, slots=True)
class Update:
    """A response that Envoy has or had to judge. ``origin`` is whoever it came from."""

    type_url: str
    nonce: str
    origin: object
    resources: tuple[Any, ...]  # envoy.service.discovery.v3.Resource
    removed: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all that it brings or takes."""
        return (*(resource.name for resource in self.resources), *self.removed)

    def without(self, names: Collection[str]) -> Update:
        """Return what is left of it without these resources."""
        kept = tuple(resource for resource in self.resources if resource.name not in names)
        return replace(self, resources=kept)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a request of Envoy means.

    ``judged`` is the update that it accepts, or refuses if ``refusal`` gives a reason;
    ``subscribed`` and ``unsubscribed`` are names; ``first`` says that Envoy begins with this type.
    """

    type_url: str
    judged: Update | None
    refusal: str | None
    subscribed: tuple[str, ...]
    unsubscribed: tuple[str, ...]
    first: bool


@dataclass(slots=True)
class Subscription:
    """One resource type.

    ``versions`` is what Envoy accepted, by name; ``absent`` what it asked for by name and knows not
    to exist; ``pending`` what it has not judged yet. ``answered`` and ``accepted``: whether there
    was any response, and one that it accepted.
    """

    asked: bool = False
    answered: bool = False
    accepted: bool = False
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    versions: dict[str, str] = field(default_factory=dict)
    pending: deque[Update] = field(default_factory=deque)

    def take(self, update: Update) -> None:
        """Note that Envoy accepted an update."""
        self.accepted = True
        for resource in update.resources:
            self.versions[resource.name] = resource.version
            self.absent.discard(resource.name)
        for name in update.removed:
            self.versions.pop(name, None)
            if name in self.names:
                self.absent.add(name)


class Subscriptions:
    """The state of one stream."""

    def __init__(self) -> None:
        self._types: dict[str, Subscription] = {}
        self._node: Any = None

    def __iter__(self) -> Iterator[tuple[str, Subscription]]:
        yield from ((type_url, each) for type_url, each in self._types.items() if each.asked)

    def get(self, type_url: str) -> Subscription | None:
        """Return the subscription to a type, None if Envoy never asked for it."""
        subscription = self._types.get(type_url)
        return subscription if subscription and subscription.asked else None

    def request(self, request: Any) -> Reaction:
        """Take note of a DeltaDiscoveryRequest."""
        if request.HasField("node"):
            self._node = discovery.DeltaDiscoveryRequest(node=request.node)
        subscription = self._types.setdefault(request.type_url, Subscription())
        first, subscription.asked = not subscription.asked, True
        subscribed = tuple(request.resource_names_subscribe)
        unsubscribed = tuple(request.resource_names_unsubscribe)
        if (first and not subscribed) or _ANY_NAME in subscribed:
            subscription.wildcard = True
        if _ANY_NAME in unsubscribed:
            subscription.wildcard = False
        subscription.names.update(name for name in subscribed if name != _ANY_NAME)
        if not first and not subscription.wildcard:
            for name in subscribed:  # asked for again: Envoy does not have it any more
                subscription.versions.pop(name, None)
                subscription.absent.discard(name)
        if first:
            subscription.versions.update(request.initial_resource_versions)
        for name in unsubscribed:
            subscription.names.discard(name)
            subscription.absent.discard(name)
            if not subscription.wildcard:
                subscription.versions.pop(name, None)
        refusal = request.error_detail.message if request.HasField("error_detail") else None
        judged = _judge(subscription, request.response_nonce)
        if judged and refusal is None:
            subscription.take(judged)
        return Reaction(request.type_url, judged, refusal, subscribed, unsubscribed, first)

    def take(self, update: Update) -> None:
        """Note that Envoy accepted an update, or this part of one."""
        self._types[update.type_url].take(update)

    def response(self, response: Any, origin: object) -> None:
        """Take note of a DeltaDiscoveryResponse that is passed to Envoy."""
        subscription = self._types.setdefault(response.type_url, Subscription())
        subscription.answered = True
        subscription.pending.append(
            Update(
                response.type_url,
                response.nonce,
                origin,
                tuple(response.resources),
                tuple(response.removed_resources),
            )
        )

    def coming(self, type_url: str) -> set[str]:
        """Return the names of what Envoy holds if it accepts all that is on its way."""
        subscription = self._types[type_url]
        names = set(subscription.versions)
        for update in subscription.pending:
            names.update(resource.name for resource in update.resources)
            names.difference_update(update.removed)
        return names

    def resume(self, kept: Mapping[tuple[str, str], str]) -> list[Any]:
        """Return the requests that continue this stream with another server; see `opening`."""
        requests = [self.opening(t, kept) for t in sorted(self._types, key=_place) if self.wants(t)]
        if requests and self._node is not None:
            requests[0].MergeFrom(self._node)
        return requests

    def wants(self, type_url: str) -> bool:
        """Whether Envoy asks for anything of a type."""
        subscription = self._types.get(type_url)
        return subscription is not None and (subscription.wildcard or bool(subscription.names))

    def opening(self, type_url: str, kept: Mapping[tuple[str, str], str]) -> Any:
        """Return the request that asks another server for all that Envoy asks for of a type.

        ``kept`` has the version of each (type, name) in the last good state. A resource that Envoy
        holds in another one is claimed without its version, so that it is sent again and can be
        kept; likewise one that is on its way to Envoy, so that it is removed if it is gone.
        """
        subscription = self._types[type_url]
        held = {
            name: version if kept.get((type_url, name)) == version else _UNKNOWN_VERSION
            for name, version in subscription.versions.items()
        }
        for update in subscription.pending:
            held.update(dict.fromkeys(update.names, _UNKNOWN_VERSION))
        return discovery.DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=_names(subscription),
            initial_resource_versions=held,
        )


def _judge(subscription: Subscription, nonce: str) -> Update | None:
    """Return the update that the nonce means: Envoy judges in the order of arrival."""
    if not nonce or all(update.nonce != nonce for update in subscription.pending):
        return None
    while (update := subscription.pending.popleft()).nonce != nonce:
        pass
    return update


def _names(subscription: Subscription) -> list[str]:
    names = sorted(subscription.names)
    # No name at all is the older form of "every one"; with names beside it only "*" says so.
    return [_ANY_NAME, *names] if subscription.wildcard and names else names


def _place(type_url: str) -> int:
    return _ORDER.index(type_url) if type_url in _ORDER else len(_ORDER)
