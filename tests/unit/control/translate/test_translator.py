# SPDX-License-Identifier: Apache-2.0
"""Names, and what holds for all resources: equal input, equal bytes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from google.protobuf import any_pb2

from mesh_control.model import MeshSnapshot
from mesh_control.translate import Translator, translate
from mesh_core.wire import types
from tests.unit.control.translate.builders import (
    API,
    CLIENT,
    DB,
    WEB,
    decoded,
    router,
    sidecar,
    snapshot,
)
from tests.unit.control.translate.full import PROXIES, full_documents, full_snapshot

_DIGEST = """
import hashlib
from mesh_control.translate import translate
from tests.unit.control.translate.full import PROXIES, full_documents, full_snapshot
digest = hashlib.sha256()
for proxy in PROXIES:
    for by_name in translate(full_snapshot(full_documents()), proxy).values():
        for name, body in sorted(by_name.items()):
            digest.update(body)
print(digest.hexdigest())
"""


def turned(mesh: MeshSnapshot) -> MeshSnapshot:
    """The same mesh with everything that has no order in another one."""
    return replace(
        mesh,
        services=dict(reversed(mesh.services.items())),
        network_gateways=mesh.network_gateways[::-1],
        virtual_services=mesh.virtual_services[::-1],
        destination_rules=mesh.destination_rules[::-1],
        gateways=mesh.gateways[::-1],
        peer_authentications=mesh.peer_authentications[::-1],
        authorization_policies=mesh.authorization_policies[::-1],
    )


def test_every_type_is_there_and_bodies_are_any_of_it() -> None:
    for proxy in PROXIES:
        resources = translate(full_snapshot(full_documents()), proxy)
        assert set(resources) == {
            types.CLUSTER,
            types.ENDPOINT,
            types.LISTENER,
            types.ROUTE,
            types.NAME_TABLE,
        }
        for type_url, by_name in resources.items():
            for body in by_name.values():
                assert any_pb2.Any.FromString(body).type_url == type_url


def test_order_without_meaning_makes_no_difference() -> None:
    mesh = full_snapshot(full_documents())
    for proxy in PROXIES:
        assert translate(mesh, proxy) == translate(turned(mesh), proxy)


def test_another_process_makes_the_same_bytes() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


def test_proxies_that_share_a_translator_get_what_each_would_alone() -> None:
    mesh = full_snapshot(full_documents())
    many = [
        *PROXIES,
        replace(CLIENT, namespace="front", domain="front.svc.cluster.local"),
        replace(CLIENT, labels={"app": "other"}),
        replace(CLIENT, network="network-2"),
        replace(CLIENT, network_view=("network-2",)),
        replace(CLIENT, domain="shop.svc.example.org"),
        replace(CLIENT, metadata={"CLUSTER_ID": "other"}),
    ]
    translator = Translator(mesh)
    for proxy in many:
        assert translator.resources(proxy) == translate(mesh, proxy)


def test_clusters_and_endpoints_are_equal_in_a_network() -> None:
    mesh = snapshot()
    first, second = (
        translate(mesh, sidecar(n, a)) for n, a in (("x", "10.9.9.1"), ("y", "10.9.9.2"))
    )
    assert first == second


class TestNames:
    """The table for the host's DNS."""

    def test_services_of_kubernetes_have_a_short_name(self) -> None:
        names = decoded(snapshot(), CLIENT).names
        assert set(names) == {API.host, WEB.host, DB.host}
        info = names[API.host]
        assert list(info.ips) == ["240.240.0.1"]
        assert (info.registry, info.shortname, info.namespace) == ("Kubernetes", "api", "shop")

    def test_others_have_none(self) -> None:
        external = replace(API, host="api.example.com", registry="External")
        info = decoded(snapshot(services=(external,)), CLIENT).names["api.example.com"]
        assert (info.registry, info.shortname, info.namespace) == ("External", "", "")

    def test_addresses_are_of_the_proxys_families(self) -> None:
        dual = replace(API, addresses=("240.240.0.1", "2001:2::1", "240.241.0.0/16"))
        mesh = snapshot(services=(dual, replace(DB, addresses=("2001:2::3",))))
        assert {n: list(i.ips) for n, i in decoded(mesh, CLIENT).names.items()} == {
            API.host: ["240.240.0.1"]
        }
        both = replace(CLIENT, addresses=("10.231.1.11", "fd31:1::11"))
        assert list(decoded(mesh, both).names[API.host].ips) == ["240.240.0.1", "2001:2::1"]

    def test_a_service_without_addresses_has_no_name(self) -> None:
        assert decoded(snapshot(services=(replace(API, addresses=()),)), CLIENT).names == {}

    def test_a_router_gets_an_empty_table(self) -> None:
        resources = translate(snapshot(), router("network-1"))
        assert list(resources[types.NAME_TABLE]) == [""]
        assert decoded(snapshot(), router("network-1")).names == {}
