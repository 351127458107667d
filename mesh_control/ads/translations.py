# SPDX-License-Identifier: Apache-2.0
"""What each proxy gets, computed once per version of the mesh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mesh_control.ads.resources import Configuration, Pool
from mesh_control.model import MeshSnapshot, Proxy

Bodies = Mapping[str, Mapping[str, bytes]]  # serialised Any by type URL, by name
Translate = Callable[[Proxy], Bodies]
Translator = Callable[[MeshSnapshot], Translate]


class Translations:
    """Configurations of the present mesh, by proxy. Streams of one proxy share one.

    One proxy is translated at a time, and the loop runs in between: a push to hundreds of hosts
    does not keep a new host's certificate or the watchdog waiting.
    """

    def __init__(self, snapshot: Callable[[], MeshSnapshot], translator: Translator) -> None:
        self._snapshot = snapshot
        self._translator = translator
        self._pool = Pool()
        self._turn = asyncio.Lock()
        self._present: tuple[str, Translate] | None = None
        self._made: dict[str, tuple[Proxy, Configuration]] = {}

    async def of(self, proxy: Proxy) -> Configuration:
        """Return the proxy's configuration. What the translation raises is raised here."""
        async with self._turn:
            await asyncio.sleep(0)
            snapshot = self._snapshot()
            if self._present is None or self._present[0] != snapshot.version:
                self._present = (snapshot.version, self._translator(snapshot))
                self._made.clear()
            made, configuration = self._made.get(proxy.id, (None, None))
            if configuration is None or made != proxy:
                bodies = self._present[1](proxy)
                configuration = Configuration(snapshot.version, self._pool.resources(bodies))
                self._made[proxy.id] = (proxy, configuration)
            return configuration

    def forget(self, proxy_id: str) -> None:
        """Let go of a proxy's configuration."""
        self._made.pop(proxy_id, None)
