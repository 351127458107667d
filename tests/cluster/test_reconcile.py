# SPDX-License-Identifier: Apache-2.0
"""Inventory against registry, with a real istiod: also with one that dies while a host leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule
from .registering import registered

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "reconcile"
_NETWORKING = "networking.istio.io/v1"


def host(name: str, address: str, **changes: Any) -> dict[str, Any]:
    """A host of the group ``web`` as hybrid.mesh.member gives it."""
    return {
        "name": name,
        "namespace": NAMESPACE,
        "group": "web",
        "address": address,
        "network": "net-1",
        "labels": {"app": "web"},
        "service_account": "web",
        **changes,
    }


A, B = host("a", "10.242.1.1"), host("b", "10.242.1.2")
ENTRY_A, ENTRY_B = "web-10.242.1.1-net-1", "web-10.242.1.2-net-1"


def thing(kind: str, name: str, spec: dict[str, Any], version: str = _NETWORKING) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def group(name: str) -> dict[str, Any]:
    return thing(
        "WorkloadGroup", name, {"template": {"serviceAccount": "web", "ports": {"http": 80}}}
    )


SERVICE = thing("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]}, "v1")


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
        api.namespace(NAMESPACE, "web")
        api.apply([group("web"), group("old"), SERVICE])
        yield server


@pytest.fixture
def reconcile(api: ApiServer, run_module: RunModule) -> Callable[..., Any]:
    async def run(*hosts: dict[str, Any], check: bool = False, **options: Any) -> dict[str, Any]:
        arguments = {"hosts": list(hosts), "kubeconfig": str(api.kubeconfig), "settle": 1}
        return await asyncio.to_thread(
            run_module, "registry_reconcile", {**arguments, **options}, check=check
        )

    return run


def names(api: ApiServer) -> set[str]:
    listed = api.kubectl("get", "workloadentries", "-n", NAMESPACE, "-o", "name")
    return {line.partition("/")[2] for line in listed.split()}


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def annotations(api: ApiServer, name: str) -> dict[str, str]:
    found: dict[str, str] = api.get(f"workloadentry/{name}", f"--namespace={NAMESPACE}")[
        "metadata"
    ]["annotations"]
    return found


async def test_the_entry_that_a_dying_istiod_leaves_behind_is_found_and_removed(
    api: ApiServer, istiod: Istiod, tmp_path: Path, reconcile: Callable[..., Any]
) -> None:
    debug = {"istiod_debug": [f"{istiod.debug_url}/debug"]}
    async with registered(api, istiod, tmp_path / "b", B):
        async with registered(api, istiod, tmp_path / "a", A):
            await until(lambda: names(api) == {ENTRY_A, ENTRY_B})
            assert (await reconcile(A, B, **debug))["consistent"]
            before = annotations(api, ENTRY_B)["istio.io/connectedAt"]
            istiod.kill()
        istiod.launch()
        await until(lambda: annotations(api, ENTRY_B).get("istio.io/connectedAt") != before)

        left_behind = annotations(api, ENTRY_A)
        assert "istio.io/connectedAt" in left_behind
        assert "istio.io/disconnectedAt" not in left_behind

        # Without proof that its host is away, it is reported and stays.
        unproved = await reconcile(B, remove=True)
        assert [s["entry"] for s in unproved["superfluous"]] == [f"{NAMESPACE}/{ENTRY_A}"]
        assert unproved["superfluous"][0]["kept"]
        assert not unproved["changed"]
        assert names(api) == {ENTRY_A, ENTRY_B}

        told = await reconcile(B, remove=True, check=True, **debug)
        assert told["removed"] == [f"{NAMESPACE}/{ENTRY_A}"]
        assert names(api) == {ENTRY_A, ENTRY_B}

        done = await reconcile(B, remove=True, **debug)
        assert done["removed"] == told["removed"]
        assert done["changed"]
        assert names(api) == {ENTRY_B}
        again = await reconcile(B, remove=True, **debug)
        assert again["consistent"]
        assert not again["changed"]
    await until(lambda: not names(api))


async def test_the_entry_of_a_host_that_is_alive_stays_though_the_inventory_lacks_it(
    api: ApiServer, istiod: Istiod, tmp_path: Path, reconcile: Callable[..., Any]
) -> None:
    async with registered(api, istiod, tmp_path / "b", B):
        await until(lambda: names(api) == {ENTRY_B})
        found = await reconcile(
            A, remove=True, istiod_debug=[f"{istiod.debug_url}/debug"], stale_after=0
        )
        assert found["unregistered"][0]["host"] == "a"
        assert found["superfluous"][0]["entry"] == f"{NAMESPACE}/{ENTRY_B}"
        assert found["removed"] == []
        assert names(api) == {ENTRY_B}
    await until(lambda: not names(api))


async def test_an_istiod_that_cannot_be_asked_is_no_proof(
    istiod: Istiod, reconcile: Callable[..., Any]
) -> None:
    found = await reconcile(A, remove=True, istiod_debug=["http://127.0.0.1:1/debug"])
    assert found["failed"]
    assert "http://127.0.0.1:1/debug/adsz" in found["msg"]


async def test_wrong_labels_are_named_with_what_would_select_the_entry(
    api: ApiServer, istiod: Istiod, tmp_path: Path, reconcile: Callable[..., Any]
) -> None:
    async with registered(api, istiod, tmp_path / "a", {**A, "labels": {"app": "wbe"}}):
        await until(lambda: names(api) == {ENTRY_A})
        found = await reconcile(A)
    assert not found["consistent"]
    assert found["wrong"] == [
        {
            "entry": f"{NAMESPACE}/{ENTRY_A}",
            "host": "a",
            "field": "labels.app",
            "expected": "web",
            "found": "wbe",
        }
    ]
    assert found["unselected"] == [
        {"entry": f"{NAMESPACE}/{ENTRY_A}", "closest": "Service web would, with app=web"}
    ]
    await until(lambda: not names(api))


async def test_an_address_in_two_groups_is_a_duplicate(
    api: ApiServer, istiod: Istiod, tmp_path: Path, reconcile: Callable[..., Any]
) -> None:
    debug = {"istiod_debug": [f"{istiod.debug_url}/debug"]}
    async with (
        registered(api, istiod, tmp_path / "new", A),
        registered(api, istiod, tmp_path / "old", {**A, "group": "old"}),
    ):
        await until(lambda: len(names(api)) == 2)
        found = await reconcile(A, remove=True, **debug)
    assert found["duplicates"] == [
        {
            "address": A["address"],
            "network": "net-1",
            "entries": [f"{NAMESPACE}/old-10.242.1.1-net-1", f"{NAMESPACE}/{ENTRY_A}"],
        }
    ]
    assert found["removed"] == []
    await until(lambda: not names(api))


async def test_entries_of_a_set_go_with_their_hosts_and_others_stay(
    api: ApiServer, istiod: Istiod, run_module: RunModule, reconcile: Callable[..., Any]
) -> None:
    entries = [
        {"name": name, "address": address, "labels": {"app": "web"}, "network": "net-1"}
        for name, address in (("a", A["address"]), ("gone", "10.242.1.9"))
    ]
    common = {"kubeconfig": str(api.kubeconfig), "namespace": NAMESPACE}
    made = await asyncio.to_thread(
        run_module, "workload_entry", {**common, "entries": entries, "set": "fleet"}
    )
    other = [{"name": "printer", "address": "10.242.1.8", "labels": {"app": "web"}}]
    await asyncio.to_thread(run_module, "workload_entry", {**common, "entries": other})
    assert len(made["created"]) == 2
    try:
        unset = await reconcile(A, remove=True)
        assert unset["superfluous"] == []
        found = await reconcile(A, remove=True, set="fleet")
        assert found["removed"] == [f"{NAMESPACE}/gone"]
        assert names(api) == {"a", "printer"}
    finally:
        api.kubectl("delete", "workloadentries", "--all", "-n", NAMESPACE)
