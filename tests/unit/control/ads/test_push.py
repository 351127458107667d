from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mesh_control.ads.push import Debounce
from mesh_control.ads.resources import Configuration
from mesh_control.ads.translations import Bodies, Translate, Translations
from mesh_control.model import MeshSnapshot, Proxy


class Clock:
    """Time that passes in sleeps only; ``at`` does things in the course of it."""

    def __init__(self) -> None:
        self.time = 0.0
        self.at: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        until = self.time + seconds
        while self.at and self.at[0][0] <= until:
            self.time, action = self.at.pop(0)
            action()
        self.time = until


async def test_a_push_follows_the_last_change_by_the_quiet_time() -> None:
    clock = Clock()
    debounce = Debounce(clock, quiet=0.1, maximum=1.0)
    debounce.changed()
    clock.at = [(0.05, debounce.changed), (0.12, debounce.changed)]
    assert await debounce.settled() == 0.0
    assert clock.time == pytest.approx(0.22)


async def test_endless_changes_are_pushed_after_the_maximum() -> None:
    clock = Clock()
    debounce = Debounce(clock, quiet=0.1, maximum=1.0)
    debounce.changed()
    clock.at = [(n * 0.05, debounce.changed) for n in range(1, 100)]
    await debounce.settled()
    assert clock.time == pytest.approx(1.0)
    # The next change begins anew.
    clock.at = []
    debounce.changed()
    await debounce.settled()
    assert clock.time == pytest.approx(1.1)


async def test_without_changes_there_is_no_push() -> None:
    debounce = Debounce(Clock())
    debounce.changed()
    await debounce.settled()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await debounce.settled()


def snapshot(version: str) -> MeshSnapshot:
    return MeshSnapshot("cluster.local", version, "istio-system", {}, {}, (), (), (), (), (), ())


def proxy(name: str, address: str = "10.0.0.1") -> Proxy:
    return Proxy(name, "sidecar", (address,), name, "shop", "api", {}, "", (), "", {})


class Mesh:
    """Counts what is translated."""

    def __init__(self) -> None:
        self.version = "1"
        self.made: list[tuple[str, str]] = []
        self.fails = False
        self.translations = Translations(lambda: snapshot(self.version), self.translator)

    def translator(self, given: MeshSnapshot) -> Translate:
        def translate(asking: Proxy) -> Bodies:
            if self.fails:
                raise ValueError("no")
            self.made.append((given.version, asking.id))
            return {"t": {"a": given.version.encode()}}

        return translate

    async def of(self, *arguments: str) -> Configuration:
        return await self.translations.of(proxy(*arguments))


async def test_a_proxy_is_translated_once_per_version() -> None:
    mesh = Mesh()
    first = await mesh.of("a")
    assert first.version == "1"
    assert await mesh.of("a") is first
    other = await mesh.of("b")
    assert other.resources["t"]["a"] is first.resources["t"]["a"]
    mesh.version = "2"
    assert (await mesh.of("a")).version == "2"
    assert mesh.made == [("1", "a"), ("1", "b"), ("2", "a")]


async def test_a_proxy_that_changed_or_left_is_translated_again() -> None:
    mesh = Mesh()
    await mesh.of("a")
    await mesh.of("a", "10.0.0.2")
    mesh.translations.forget("a")
    await mesh.of("a", "10.0.0.2")
    assert len(mesh.made) == 3


async def test_a_failure_is_the_askers_and_is_tried_again() -> None:
    mesh = Mesh()
    mesh.fails = True
    with pytest.raises(ValueError, match="no"):
        await mesh.of("a")
    mesh.fails = False
    assert (await mesh.of("a")).version == "1"
