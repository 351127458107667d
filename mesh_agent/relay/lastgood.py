# SPDX-License-Identifier: Apache-2.0
"""The last good resources: what Envoy accepted, by type and name, in memory and on disk.

One file a type, ``STATE/xds/Cluster.pb`` and so on: a serialized DeltaDiscoveryResponse. Files
are private, because a gateway's secrets may come this way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from mesh_core.clock import Clock
from mesh_core.files import write_atomic
from mesh_core.wire import discovery, types

log = logging.getLogger(__name__)

# A change rarely comes alone: clusters, then endpoints, then listeners.
SETTLE_SECONDS = 1.0


class LastGood:
    """Resources as serialized ``envoy.service.discovery.v3.Resource``, with their versions."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._kept: dict[str, dict[str, tuple[str, bytes]]] = {}
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    def load(self) -> None:
        """Read what was kept; a file that cannot be used is reported and left out."""
        for path in sorted(self._directory.glob("*.pb")):
            try:
                state = discovery.DeltaDiscoveryResponse.FromString(path.read_bytes())
            except (OSError, DecodeError) as error:
                log.warning("%s is not used: %s", path, error)
                continue
            self._kept[state.type_url] = {
                resource.name: (resource.version, resource.SerializeToString())
                for resource in state.resources
            }

    def __bool__(self) -> bool:
        return bool(self._kept)

    def knows(self, type_url: str) -> bool:
        """Whether the full set of a type is known, be it empty."""
        return type_url in self._kept

    def resources(self, type_url: str) -> Mapping[str, tuple[str, bytes]]:
        """Return version and serialized resource by name."""
        return self._kept.get(type_url, {})

    def versions(self) -> dict[tuple[str, str], str]:
        """Return the version of each (type, name)."""
        return {
            (type_url, name): version
            for type_url, kept in self._kept.items()
            for name, (version, _unused) in kept.items()
        }

    def commit(self, type_url: str, resources: Iterable[Any], removed: Iterable[str]) -> None:
        """Take in what Envoy accepted."""
        kept = self._kept.setdefault(type_url, {})
        for resource in resources:
            kept[resource.name] = (resource.version, resource.SerializeToString())
        for name in removed:
            kept.pop(name, None)
        self._changed.add(type_url)
        self._wake.set()

    async def run(self, held: Callable[[str], Collection[str] | None], clock: Clock) -> None:
        """Save changes when they have settled, for ever; see `save` for ``held``."""
        while True:
            await self._wake.wait()
            await clock.sleep(SETTLE_SECONDS)
            self._wake.clear()
            writing = asyncio.ensure_future(asyncio.to_thread(self._write, self._settle(held)))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                while not writing.done():  # the last write comes after this one
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.shield(writing)
                raise

    def save(self, held: Callable[[str], Collection[str] | None]) -> None:
        """Write what changed, now.

        ``held(type_url)`` gives the names that Envoy holds, None if that is not known; others are
        leftovers of an earlier state and are dropped.
        """
        self._write(self._settle(held))

    def _settle(self, held: Callable[[str], Collection[str] | None]) -> dict[Path, bytes]:
        files = {}
        for type_url in self._changed:
            kept = self._kept[type_url]
            names = held(type_url)
            if names is not None:
                kept = self._kept[type_url] = {n: kept[n] for n in kept if n in names}
            state = discovery.DeltaDiscoveryResponse(type_url=type_url)
            for _unused, body in kept.values():
                state.resources.add().MergeFromString(body)
            files[self._directory / f"{types.short(type_url)}.pb"] = state.SerializeToString()
        self._changed.clear()
        return files

    def _write(self, files: Mapping[Path, bytes]) -> None:
        for path, content in files.items():
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomic(path, content, 0o600)
            except OSError as error:
                log.warning("%s: the last good configuration was not kept: %s", path, error)
