# SPDX-License-Identifier: Apache-2.0
"""The whole registry with the lab's shop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh_control.model import Document, NetworkGateway, Proxy
from mesh_control.objects.kinds import KINDS
from mesh_control.objects.load import load
from mesh_control.registry.proxy import proxy_from_node
from mesh_control.registry.registry import Registry, RegistrySettings
from mesh_core.identity import SpiffeId

SHOP = Path(__file__).parents[1] / "objects" / "shop"
API, DB = "api.shop.svc.cluster.local", "db.shop.svc.cluster.local"
ISTIOD = "istiod.istio-system.svc.cluster.local"


@pytest.fixture
def shop() -> tuple[Document, ...]:
    supported = {kind: set(KINDS[kind].schema.fields) for kind in KINDS if kind != "ConfigMap"}
    supported["MeshConfig"] = {"outboundTrafficPolicy"}
    loaded = load({path.name: path.read_text() for path in SHOP.glob("*.yaml")}, supported)
    assert not loaded.problems
    return loaded.documents


@pytest.fixture
def open_registry(tmp_path: Path, clock: Any) -> Callable[[], Registry]:
    return lambda: Registry(RegistrySettings(), tmp_path / "registry", clock)


@pytest.fixture
def registry(open_registry: Callable[[], Registry], shop: Sequence[Document]) -> Registry:
    registry = open_registry()
    registry.update_documents(shop)
    return registry


def proxy(name: str, group: str, address: str, network: str = "network-1", **labels: str) -> Proxy:
    metadata = {
        "NAME": name,
        "NAMESPACE": "shop",
        "SERVICE_ACCOUNT": group,
        "INSTANCE_IPS": address,
        "NETWORK": network,
        "AUTO_REGISTER_GROUP": group,
        "LABELS": labels,
    }
    return proxy_from_node(f"sidecar~{address}~{name}.shop~shop.svc.cluster.local", metadata)


def register(registry: Registry, what: Proxy) -> None:
    account = SpiffeId("cluster.local", "shop", what.service_account)
    registry.register(what, account, f"connection of {what.name}")


API_1 = proxy("api-1", "api", "10.231.1.21", version="v1")
DATABASE = proxy("db", "db", "10.231.2.31", "network-2")


def test_the_shop(registry: Registry) -> None:
    register(registry, API_1)
    register(registry, proxy("api-2", "api", "10.231.1.22", version="v2"))
    register(registry, DATABASE)
    registry.health("connection of api-1", True)
    snapshot = registry.snapshot()
    assert list(snapshot.services) == [API, DB, ISTIOD, "web.shop.svc.cluster.local"]
    api = snapshot.services[API]
    assert [(e.address, e.port, e.labels, e.healthy) for e in api.endpoints] == [
        ("10.231.1.21", 8080, {"app": "api", "version": "v1"}, True),
        ("10.231.1.22", 8080, {"app": "api", "version": "v2"}, False),
    ]
    assert api.service_accounts == ("spiffe://cluster.local/ns/shop/sa/api",)
    (database,) = snapshot.services[DB].endpoints
    assert (database.network, database.port, database.mutual_tls) == ("network-2", 5432, True)
    (control,) = snapshot.services[ISTIOD].endpoints
    assert (control.address, control.mutual_tls) == ("10.231.1.10", False)
    assert snapshot.workloads["shop/api-10.231.1.22-network-1"].healthy is False
    assert snapshot.network_gateways == (
        NetworkGateway("network-1", "10.231.1.2", 15443),
        NetworkGateway("network-2", "10.231.2.2", 15443),
    )
    assert snapshot.mesh_config["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}
    assert (snapshot.trust_domain, snapshot.root_namespace) == ("cluster.local", "istio-system")
    assert [d.name for d in snapshot.virtual_services] == ["istiod", "api"]
    counts = (snapshot.destination_rules, snapshot.gateways, snapshot.peer_authentications)
    assert [len(documents) for documents in counts] == [1, 2, 1]
    assert [d.name for d in snapshot.authorization_policies] == ["api", "db"]
    registry.health("connection of api-2", True)
    assert all(endpoint.healthy for endpoint in registry.snapshot().services[API].endpoints)


def test_a_snapshot_is_built_once_and_its_version_follows_the_content(
    registry: Registry, shop: Sequence[Document]
) -> None:
    first = registry.snapshot()
    assert registry.snapshot() is first
    registry.update_documents([replace(d, where="moved", created=d.created + 7) for d in shop])
    assert registry.snapshot() is not first
    assert registry.snapshot().version == first.version
    register(registry, DATABASE)
    second = registry.snapshot()
    assert second.version != first.version
    registry.update_documents([d for d in shop if d.kind != "PeerAuthentication"])
    assert registry.snapshot().version not in (first.version, second.version)


def test_the_order_of_age_is_content(registry: Registry, shop: Sequence[Document]) -> None:
    first = registry.snapshot().version
    registry.update_documents([replace(d, created=-d.created) for d in shop])
    assert registry.snapshot().version != first


def test_subscribers_hear_of_changes_only(
    registry: Registry, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def broken() -> None:
        raise RuntimeError("broken subscriber")

    registry.subscribe(broken)
    stop = registry.subscribe(lambda: heard.append(registry.snapshot().version))
    register(registry, API_1)
    assert "broken subscriber" in caplog.text
    register(registry, API_1)
    registry.health("connection of api-1", True, "")
    registry.health("connection of api-1", True, "")
    registry.disconnected("connection of api-1")
    registry.expire()
    assert len(heard) == 2
    clock.pass_time(10)
    registry.expire()
    assert len(heard) == len(set(heard)) == 3
    stop()
    registry.update_documents([])
    assert len(heard) == 3


def test_it_is_ready_with_the_first_objects(open_registry: Callable[[], Registry]) -> None:
    registry = open_registry()
    assert not registry.ready
    registry.update_documents([])
    assert registry.ready


async def test_it_writes_registrations_and_ends_grace_periods_every_second(
    registry: Registry, clock: Any, tmp_path: Path
) -> None:
    path = tmp_path / "registry/workloadentries/shop/db-10.231.2.31-network-2.json"
    seen: list[str] = []

    def after_sleep() -> None:
        """What the turns before have left behind."""
        text = path.read_text() if path.exists() else ""
        words = ("connectedAt", "disconnectedAt")
        seen.append(next((word for word in words if f"istio.io/{word}" in text), "none"))
        if len(seen) == 2:
            assert path.stat().st_mode & 0o777 == 0o600
            registry.disconnected("connection of db")
        if len(seen) == 14:
            register(registry, DATABASE)
            raise asyncio.CancelledError

    clock.on_sleep = after_sleep
    register(registry, DATABASE)
    with pytest.raises(asyncio.CancelledError):
        await registry.run()
    assert seen == ["none", "connectedAt"] + ["disconnectedAt"] * 10 + ["none"] * 2
    assert path.exists(), "what is not yet written is written at the end"


async def test_workloads_and_addresses_survive_a_restart(
    registry: Registry, open_registry: Callable[[], Registry], shop: Sequence[Document], clock: Any
) -> None:
    register(registry, API_1)
    registry.health("connection of api-1", True)
    await registry.save()
    before = registry.snapshot()
    later = open_registry()
    assert not later.snapshot().workloads
    later.update_documents(shop)
    assert later.snapshot() == before
    clock.pass_time(59)
    later.expire()
    assert later.snapshot() == before
    clock.pass_time(1)
    later.expire()
    assert not later.snapshot().workloads


def test_an_address_stays_whatever_comes_and_goes(
    open_registry: Callable[[], Registry], shop: Sequence[Document]
) -> None:
    registry = open_registry()
    registry.update_documents(shop)
    before = {host: s.addresses for host, s in registry.snapshot().services.items()}
    assert all(address[0].startswith("240.240.") for address in before.values())
    (service,) = (d for d in shop if d.kind == "Service" and d.name == "api")
    others = [replace(service, name=f"other-{i}", created=-i) for i in range(50)]
    later = open_registry()
    later.update_documents([*others, *shop])
    after = later.snapshot().services
    assert {host: after[host].addresses for host in before} == before
    assert len({s.addresses for s in after.values()}) == len(after)


def test_what_cannot_be_read_is_set_aside(
    tmp_path: Path,
    open_registry: Callable[[], Registry],
    shop: Sequence[Document],
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = tmp_path / "registry"
    (state / "workloadentries/shop").mkdir(parents=True)
    (state / "addresses.json").write_text("{broken")
    (state / "workloadentries/shop/x.json").write_text('{"metadata": {}}')
    registry = open_registry()
    registry.update_documents(shop)
    assert registry.snapshot().services[API].addresses
    assert (state / "addresses.json.unreadable").read_text() == "{broken"
    assert (state / "workloadentries/shop/x.json.unreadable").exists()
    errors = [r.message for r in caplog.records if r.levelno == logging.ERROR]
    assert [e.partition(": ")[2].partition(":")[0] for e in errors] == [
        "cannot be read and is set aside"
    ] * 2


async def test_a_full_disk_stops_nobody(
    registry: Registry, tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("mesh_control.registry.store.write_atomic", full)
        register(registry, DATABASE)
        await registry.save()
        registry.update_documents([])
    assert "registrations were not written" in caplog.text
    assert "allocated addresses were not written" in caplog.text
    assert list(registry.snapshot().services) == []


def test_problems_that_only_the_whole_shows(
    tmp_path: Path, clock: Any, shop: Sequence[Document]
) -> None:
    settings = RegistrySettings(trust_domain="other.org", auto_addresses="240.240.0.0/30")
    registry = Registry(settings, tmp_path, clock)
    registry.update_documents(shop)
    services = registry.snapshot().services
    assert len([s for s in services.values() if s.addresses]) == 2
    lines = [str(problem) for problem in registry.problems]
    assert lines[0] == (
        "mesh.yaml[0] ConfigMap istio-system/istio: data.mesh.trustDomain: expected 'other.org' as "
        "in the control plane's configuration, found 'cluster.local'"
    )
    assert len(lines) == 3
    assert lines[1].endswith(": no address is left in 240.240.0.0/30 for it")


def test_a_long_name_is_a_file_too(
    registry: Registry, open_registry: Callable[[], Registry], shop: Sequence[Document]
) -> None:
    register(registry, proxy("db", "db", "10.0.0.1", "n" * 300))
    asyncio.run(registry.save())
    later = open_registry()
    later.update_documents(shop)
    assert list(later.snapshot().workloads) == [f"shop/{'n' * 253}"]


def test_a_workload_entry_is_a_workload(registry: Registry, shop: Sequence[Document]) -> None:
    spec = {"address": "10.0.0.9", "labels": {"app": "db"}, "network": "network-1"}
    entry = Document("WorkloadEntry", "legacy", "shop", {}, {}, spec, "x.yaml[0]", 99)
    registry.update_documents([*shop, entry])
    (endpoint,) = registry.snapshot().services[DB].endpoints
    assert (endpoint.address, endpoint.mutual_tls) == ("10.0.0.9", False)
    assert registry.snapshot().workloads["shop/legacy"].address == "10.0.0.9"
