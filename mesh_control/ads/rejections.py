# SPDX-License-Identifier: Apache-2.0
"""What a client refused (NACK), until it accepts something in its place. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

# Answers that a client has neither accepted nor refused are remembered up to this number.
_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refused resource (empty: the message names none) and the client's own words."""

    resource: str
    message: str


@dataclass(slots=True)
class Acknowledgements:
    """Of one type on one stream: answers under way, the last accepted, what stands refused."""

    sent: str = ""  # version of the mesh in the last answer
    acked: str = ""  # version of the mesh in the last accepted answer
    nonce: str = ""  # of the last answer
    refused: dict[str, Rejection] = field(default_factory=dict)
    _under_way: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def sending(self, nonce: str, version: str, names: tuple[str, ...]) -> None:
        """Note an answer with these resources and removals."""
        self.nonce, self.sent = nonce, version
        self._under_way[nonce] = (version, names)
        while len(self._under_way) > _REMEMBERED:
            del self._under_way[next(iter(self._under_way))]

    def accept(self, nonce: str) -> bool:
        """Take an ACK; whether it answers something that was sent."""
        answer = self._under_way.pop(nonce, None)
        if answer is None:
            return False
        self.acked = answer[0]
        for name in ("", *answer[1]):
            self.refused.pop(name, None)
        return True

    def refuse(self, nonce: str, message: str) -> list[Rejection]:
        """Take a NACK; return what is refused by it."""
        _unused, names = self._under_way.pop(nonce, ("", ()))
        found = [Rejection(name, message) for name in guilty(names, message) or [""]]
        self.refused.update({rejection.resource: rejection for rejection in found})
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Note that the client wants these no more."""
        for name in names:
            self.refused.pop(name, None)


def guilty(names: Collection[str], message: str) -> list[str]:
    """Return the resources that Envoy's message is about: named in it, or the only one sent."""
    if len(names) == 1:
        return list(names)
    return [name for name in names if name and _mentions(message, name)]


def _mentions(message: str, name: str) -> bool:
    """Whether the name stands in the text as such, not as a part of a longer one."""
    if name not in message:
        return False
    pattern = rf"(?<![\w.|-]){re.escape(name)}(?![\w|-]|[.:]\w)"
    return re.search(pattern, message) is not None
