# SPDX-License-Identifier: Apache-2.0
"""Inventory against registry, with a real istiod: also with one that dies while a host leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import ApiServer, Istiod

from .modules import run_module
from .registering import registered
from .registry import Registry, host, until

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

A, B = host("reconcile", "a", "10.242.1.1"), host("reconcile", "b", "10.242.1.2")
ENTRY_A, ENTRY_B = "web-10.242.1.1-net-1", "web-10.242.1.2-net-1"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server of this module's own: its istiod dies."""
    with ApiServer(tmp_path_factory.mktemp("reconcile-api")) as server:
        yield server


@pytest.fixture(scope="module")
def istiod(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Istiod]:
    environment = {"PILOT_WORKLOAD_ENTRY_GRACE_PERIOD": "1s"}
    directory = tmp_path_factory.mktemp("reconcile-istiod")
    with Istiod(api, directory, environment=environment) as server:
        yield server


@pytest.fixture(scope="module")
def registry(api: ApiServer, istiod: Istiod) -> Registry:
    assert istiod.process.running
    made = Registry(api, "reconcile")
    made.prepare("web", "old")
    return made


@pytest.fixture
def debug(istiod: Istiod) -> dict[str, Any]:
    """The option that says where istiod, which is no pod, is asked."""
    return {"istiod_debug": [f"{istiod.debug_url}/debug"]}


async def test_the_entry_that_a_dying_istiod_leaves_behind_is_found_and_removed(
    registry: Registry, istiod: Istiod, tmp_path: Path, debug: dict[str, Any]
) -> None:
    async with registered(registry.api, istiod, tmp_path / "b", B):
        async with registered(registry.api, istiod, tmp_path / "a", A):
            await registry.holds(ENTRY_A, ENTRY_B)
            assert (await registry.reconcile(A, B, **debug))["consistent"]
            before = registry.annotations(ENTRY_B)["connectedAt"]
            istiod.kill()
        istiod.launch()
        await until(lambda: registry.annotations(ENTRY_B).get("connectedAt") != before)

        left_behind = registry.annotations(ENTRY_A)
        assert "connectedAt" in left_behind
        assert "disconnectedAt" not in left_behind

        # Without proof that its host is away, it is reported and stays.
        unproved = await registry.reconcile(B, remove=True)
        assert [s["entry"] for s in unproved["superfluous"]] == [f"reconcile/{ENTRY_A}"]
        assert "expected pods with the label app=istiod" in unproved["superfluous"][0]["kept"]
        assert not unproved["changed"]
        assert registry.names() == {ENTRY_A, ENTRY_B}

        told = await registry.reconcile(B, remove=True, check=True, **debug)
        assert told["removed"] == [f"reconcile/{ENTRY_A}"]
        assert registry.names() == {ENTRY_A, ENTRY_B}

        done = await registry.reconcile(B, remove=True, **debug)
        assert done["removed"] == told["removed"]
        assert done["changed"]
        assert registry.names() == {ENTRY_B}
        again = await registry.reconcile(B, remove=True, **debug)
        assert again["consistent"]
        assert not again["changed"]
    await registry.holds()


async def test_the_entry_of_a_host_that_is_alive_stays_though_the_inventory_lacks_it(
    registry: Registry, istiod: Istiod, tmp_path: Path, debug: dict[str, Any]
) -> None:
    async with registered(registry.api, istiod, tmp_path / "b", B):
        await registry.holds(ENTRY_B)
        found = await registry.reconcile(A, remove=True, **debug)
        assert found["unregistered"][0]["host"] == "a"
        assert found["superfluous"] == [
            {
                "entry": f"reconcile/{ENTRY_B}",
                "address": B["address"],
                "proof": None,
                "kept": "an istiod has a connection to it: it is alive",
            }
        ]
        assert found["removed"] == []
        assert registry.names() == {ENTRY_B}
    await registry.holds()


async def test_an_istiod_that_cannot_be_asked_is_no_proof(
    registry: Registry, istiod: Istiod, tmp_path: Path
) -> None:
    nowhere = {"istiod_debug": ["http://127.0.0.1:1/debug"]}
    async with registered(registry.api, istiod, tmp_path / "b", B):
        await registry.holds(ENTRY_B)
        found = await registry.reconcile(A, remove=True, **nowhere)
    assert found["failed"]
    assert "http://127.0.0.1:1/debug/adsz" in found["msg"]
    await registry.holds()


async def test_wrong_labels_are_named_with_what_would_select_the_entry(
    registry: Registry, istiod: Istiod, tmp_path: Path
) -> None:
    wrong = {**A, "labels": {"app": "wbe"}}
    async with registered(registry.api, istiod, tmp_path / "a", wrong):
        await registry.holds(ENTRY_A)
        found = await registry.reconcile(A)
    assert not found["consistent"]
    assert found["wrong"] == [
        {
            "entry": f"reconcile/{ENTRY_A}",
            "host": "a",
            "field": "labels.app",
            "expected": "web",
            "found": "wbe",
        }
    ]
    assert found["unselected"] == [
        {"entry": f"reconcile/{ENTRY_A}", "closest": "Service web would, with app=web"}
    ]
    await registry.holds()


async def test_an_address_in_two_groups_is_a_duplicate(
    registry: Registry, istiod: Istiod, tmp_path: Path, debug: dict[str, Any]
) -> None:
    old = "old-10.242.1.1-net-1"
    async with (
        registered(registry.api, istiod, tmp_path / "new", A),
        registered(registry.api, istiod, tmp_path / "old", {**A, "group": "old"}),
    ):
        await registry.holds(old, ENTRY_A)
        found = await registry.reconcile(A, remove=True, **debug)
    assert found["duplicates"] == [
        {
            "address": A["address"],
            "network": "net-1",
            "entries": [f"reconcile/{old}", f"reconcile/{ENTRY_A}"],
        }
    ]
    assert found["removed"] == []
    await registry.holds()


async def test_entries_of_a_set_go_with_their_hosts_and_others_stay(registry: Registry) -> None:
    entries = [
        {"name": name, "address": address, "labels": {"app": "web"}, "network": "net-1"}
        for name, address in (("a", A["address"]), ("gone", "10.242.1.9"))
    ]
    common = {"kubeconfig": str(registry.api.kubeconfig), "namespace": registry.namespace}
    made = await asyncio.to_thread(
        run_module, "workload_entry", {**common, "entries": entries, "set": "fleet"}
    )
    other = [{"name": "printer", "address": "10.242.1.8", "labels": {"app": "web"}}]
    await asyncio.to_thread(run_module, "workload_entry", {**common, "entries": other})
    assert len(made["created"]) == 2
    try:
        unset = await registry.reconcile(A, remove=True)
        assert unset["superfluous"] == []
        found = await registry.reconcile(A, remove=True, set="fleet")
        assert found["removed"] == ["reconcile/gone"]
        assert registry.names() == {"a", "printer"}
    finally:
        registry.api.kubectl("delete", "workloadentries", "--all", "-n", registry.namespace)
