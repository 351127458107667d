# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from mesh_agent.relay import lastgood, local
from mesh_agent.relay.lastgood import LastGood
from mesh_agent.relay.subscriptions import Subscription, Subscriptions
from mesh_core.files import write_atomic
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types
from tests.wire.agent.support.clock import StepClock


def resources(**versions: str) -> list[Any]:
    return [discovery_pb2.Resource(name=name, version=v) for name, v in versions.items()]


def everything(type_url: str) -> Collection[str] | None:
    return None


def versions(store: LastGood, type_url: str) -> dict[str, str]:
    return {name: version for name, (version, _) in store.resources(type_url).items()}


def test_what_was_accepted_survives(tmp_path: Path) -> None:
    store = LastGood(tmp_path / "xds")
    assert not store
    store.commit(types.CLUSTER, resources(a="1", b="1"), [])
    store.commit(types.CLUSTER, resources(a="2"), ["b"])
    store.commit(types.LISTENER, [], [])
    store.save(everything)
    again = LastGood(tmp_path / "xds")
    again.load()
    assert versions(again, types.CLUSTER) == {"a": "2"}
    assert again.knows(types.LISTENER)
    assert not again.knows(types.ROUTE)
    assert again.versions() == {(types.CLUSTER, "a"): "2"}
    assert (tmp_path / "xds").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "xds" / "Cluster.pb").stat().st_mode & 0o777 == 0o600


def test_what_envoy_no_longer_holds_is_dropped(tmp_path: Path) -> None:
    store = LastGood(tmp_path)
    store.commit(types.CLUSTER, resources(left_over="1", a="1"), [])
    held: Mapping[str, Collection[str]] = {types.CLUSTER: {"a"}}
    store.save(held.get)
    assert versions(store, types.CLUSTER) == {"a": "1"}


def test_a_broken_file_is_reported_and_the_others_serve(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = LastGood(tmp_path)
    store.commit(types.CLUSTER, resources(a="1"), [])
    store.save(everything)
    (tmp_path / "Listener.pb").write_bytes(b"\xff\xff nonsense")
    again = LastGood(tmp_path)
    with caplog.at_level(logging.WARNING):
        again.load()
    assert versions(again, types.CLUSTER) == {"a": "1"}
    assert "Listener.pb is not used" in caplog.text


def test_a_full_disk_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "xds").write_text("a file where the directory should be")
    store = LastGood(tmp_path / "xds")
    store.commit(types.CLUSTER, resources(a="1"), [])
    with caplog.at_level(logging.WARNING):
        store.save(everything)
    assert "was not kept" in caplog.text


async def test_changes_are_written_when_they_have_settled(tmp_path: Path) -> None:
    store, clock = LastGood(tmp_path), StepClock()
    task = asyncio.create_task(store.run(everything, clock))
    await asyncio.sleep(0)
    assert clock.passed == 0  # nothing to write, nothing to wait for
    store.commit(types.CLUSTER, resources(a="1"), [])
    async with asyncio.timeout(5):
        while not (tmp_path / "Cluster.pb").exists():  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.001)
    assert clock.passed == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_last_write_comes_after_one_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cancelled in the midst of a write, and again: that is over before `run` is."""
    began, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, content: bytes, mode: int) -> None:
        began.set()
        assert go_on.wait(10)
        write_atomic(path, content, mode)

    store = LastGood(tmp_path)
    monkeypatch.setattr(lastgood, "write_atomic", slowly)
    task = asyncio.create_task(store.run(everything, StepClock()))
    store.commit(types.CLUSTER, resources(a="1"), [])
    assert await asyncio.to_thread(began.wait, 10)
    for _ in range(2):
        task.cancel()
        await asyncio.wait({task}, timeout=0.02)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "Cluster.pb").exists()


def kept(tmp_path: Path) -> LastGood:
    store = LastGood(tmp_path)
    store.commit(types.CLUSTER, resources(a="1", b="1"), [])
    store.commit(types.ENDPOINT, resources(a="1"), [])
    store.commit(types.LISTENER, [], [])
    return store


def test_a_starting_envoy_gets_the_whole_set(tmp_path: Path) -> None:
    store = kept(tmp_path)
    answer = local.answer(store, types.CLUSTER, Subscription(wildcard=True), "n")
    assert answer is not None
    assert [(r.name, r.version) for r in answer.resources] == [("a", "1"), ("b", "1")]
    assert answer.nonce == "n"
    empty = local.answer(store, types.LISTENER, Subscription(wildcard=True), "n")
    assert empty is not None  # Envoy waits for an answer, also for an empty one
    assert not empty.resources
    assert local.answer(store, types.ROUTE, Subscription(wildcard=True), "n") is None


def test_an_envoy_that_has_configuration_keeps_it(tmp_path: Path) -> None:
    store = kept(tmp_path)
    holding = Subscription(wildcard=True, versions={"a": "2"})
    assert local.answer(store, types.CLUSTER, holding, "n") is None
    answered = Subscription(wildcard=True, answered=True)
    assert local.answer(store, types.CLUSTER, answered, "n") is None
    known = Subscription(names={"a"}, versions={"a": "2"})
    assert local.answer(store, types.ENDPOINT, known, "n") is None


def test_names_are_answered_one_by_one_and_absent_ones_said_to_be_so(tmp_path: Path) -> None:
    store = kept(tmp_path)
    answer = local.answer(store, types.ENDPOINT, Subscription(names={"a", "b"}), "n")
    assert answer is not None
    assert [r.name for r in answer.resources] == ["a"]
    assert list(answer.removed_resources) == ["b"]
    state = Subscriptions()
    state.request(
        discovery_pb2.DeltaDiscoveryRequest(
            type_url=types.ENDPOINT, resource_names_subscribe=["a", "b"]
        )
    )
    state.response(answer, "kept")
    subscription = state.get(types.ENDPOINT)
    assert subscription is not None
    assert local.answer(store, types.ENDPOINT, subscription, "n") is None  # on its way
    state.request(discovery_pb2.DeltaDiscoveryRequest(type_url=types.ENDPOINT, response_nonce="n"))
    assert local.answer(store, types.ENDPOINT, subscription, "n") is None  # known
