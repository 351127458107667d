# SPDX-License-Identifier: Apache-2.0
"""One resource type on one stream: what the client wants, has, and must be told. Pure.

The rules are those of Envoy's xDS protocol, with what Envoy needs beyond it:
- a cluster that was sent waits ("warms") until its endpoints come, even those it had: see ``owed``;
- a name that does not exist is said to be absent (delta), or the client waits for it 15 seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mesh_control.ads.resources import Resource
from mesh_core.wire import types

WILDCARD = "*"
# Asked for by name only: a first request without names asks for nothing.
BY_NAME = frozenset({types.ENDPOINT, types.ROUTE, types.SECRET, types.EXTENSION_CONFIG})
# State of the world: an answer of these is everything, and what is missing in it is removed.
WHOLE = frozenset({types.CLUSTER, types.LISTENER})

_ABSENT = ""


@dataclass(slots=True)
class TypeState:
    """What one stream knows of one type.

    ``sent``  versions by name, as the client has them (empty: it was told that there is none)
    ``owed``  names to be sent even if unchanged: endpoints of clusters that were just sent
    ``due``   an answer is expected, even an empty one
    """

    type_url: str
    started: bool = False
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    owed: set[str] = field(default_factory=set)
    due: bool = False

    def start(self, names: Iterable[str], initial: Mapping[str, str]) -> None:
        """Take the type's first request on this stream; ``initial`` are versions it has."""
        self.started = True
        self.sent.update(initial)
        wanted = set(names)
        self.wildcard = WILDCARD in wanted or (not wanted and self.type_url not in BY_NAME)
        self.names = wanted - {WILDCARD}
        # Also when nothing changed: an empty answer says so, and Envoy's start waits for it.
        self.due = self.wildcard

    def subscribe(self, names: Iterable[str]) -> None:
        """Want further names. One that is wanted again is sent again: the client forgot it."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = self.due = True
                continue
            self.names.add(name)
            self.sent.pop(name, None)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """Want names no more. Under a wildcard they are sent again, being part of it."""
        for name in names:
            if name == WILDCARD:
                self.wildcard = False
                self.sent = {n: v for n, v in self.sent.items() if n in self.names}
                continue
            self.names.discard(name)
            self.owed.discard(name)
            self.sent.pop(name, None)

    def replace(self, names: Iterable[str]) -> None:
        """Want exactly these names (state of the world)."""
        wanted = set(names)
        if WILDCARD in wanted:
            self.wildcard = True
        elif wanted:
            self.wildcard = False
        wanted.discard(WILDCARD)
        for name in wanted ^ self.names:
            self.sent.pop(name, None)
        self.names = wanted

    def wants(self, name: str) -> bool:
        """Whether a resource of this name goes to the client."""
        return self.wildcard or name in self.names

    def confirm(self, update: Update) -> None:
        """Note that the update was sent."""
        for resource in update.changed:
            self.sent[resource.name] = resource.version
            self.owed.discard(resource.name)
        for name in update.removed:
            self.owed.discard(name)
            if name in self.names:
                self.sent[name] = _ABSENT
            else:
                self.sent.pop(name, None)
        self.due = False


@dataclass(frozen=True, slots=True)
class Update:
    """What an answer carries: ``resources`` to send, of them ``changed``, and ``removed`` names."""

    resources: tuple[Resource, ...]
    changed: tuple[Resource, ...]
    removed: tuple[str, ...]


def diff(
    resources: Mapping[str, Resource], state: TypeState, *, incremental: bool
) -> Update | None:
    """Return what the client lacks, or None when it lacks nothing and awaits no answer.

    ``incremental``: delta protocol; state of the world otherwise.
    """
    if not state.started:
        return None
    wanted = {name: r for name, r in resources.items() if state.wants(name)}
    sent, owed = state.sent, state.owed
    changed = tuple(r for name, r in wanted.items() if sent.get(name) != r.version or name in owed)
    gone = [name for name, version in sent.items() if version and name not in wanted]
    # Asked for by name and never answered.
    gone += [name for name in state.names if name not in wanted and name not in sent]
    whole = not incremental and state.type_url in WHOLE
    # Without delta, absence can be said of the whole only.
    removed = tuple(sorted(gone)) if incremental or whole else ()
    if not (changed or removed or state.due):
        return None
    return Update(tuple(wanted.values()) if whole else changed, changed, removed)
