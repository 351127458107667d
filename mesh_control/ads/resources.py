# SPDX-License-Identifier: Apache-2.0
"""Translated resources with versions. The same resource of many proxies is kept once."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Resource:
    """One resource. ``body`` is its serialised Any, ``version`` a short hash of it."""

    name: str
    version: str
    body: bytes


Resources = Mapping[str, Mapping[str, Resource]]  # by type URL, by name


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that one proxy gets, and the version of the mesh that it was made of."""

    version: str
    resources: Resources


EMPTY = Configuration("", {})


class Pool:
    """Finds equal resources again, for as long as anybody holds them."""

    def __init__(self) -> None:
        self._known: weakref.WeakValueDictionary[tuple[str, str], Resource] = (
            weakref.WeakValueDictionary()
        )

    def resources(self, bodies: Mapping[str, Mapping[str, bytes]]) -> Resources:
        """Give versions to a translation's serialised resources."""
        return {
            type_url: {name: self._resource(name, body) for name, body in by_name.items()}
            for type_url, by_name in bodies.items()
        }

    def __len__(self) -> int:
        return len(self._known)

    def _resource(self, name: str, body: bytes) -> Resource:
        version = hashlib.blake2b(body, digest_size=8).hexdigest()
        known = self._known.get((name, version))
        if known is None:
            known = self._known[name, version] = Resource(name, version, body)
        return known
