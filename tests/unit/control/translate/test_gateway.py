# SPDX-License-Identifier: Apache-2.0
"""A gateway: one way through per server name, nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mesh_control.model import Protocol, Resolution
from tests.unit.control.translate.builders import (
    API,
    AUTO_PASSTHROUGH,
    DB,
    SUBSETS,
    WEB,
    addresses,
    decoded,
    document,
    endpoint,
    filter_named,
    port,
    router,
    service,
    snapshot,
)

PROXY = router("network-1", "network-2")
ISTIOD = replace(
    service(
        "istiod",
        "240.240.0.5",
        port("tls", 15012, Protocol.TLS),
        endpoint("10.231.1.10", 15012, "tls", "control", mutual_tls=False),
    ),
    host="istiod.istio-system.svc.cluster.local",
    namespace="istio-system",
)


def server(number: int = 15012, mode: str = "PASSTHROUGH", *hosts: str) -> dict[str, Any]:
    return {
        "port": {"number": number, "name": "tls-istiod", "protocol": "TLS"},
        "tls": {"mode": mode},
        "hosts": list(hosts or ("*",)),
    }


def gateway(*servers: dict[str, Any], **more: Any) -> Any:
    spec = {"selector": {"istio": "eastwestgateway"}, "servers": list(servers or (server(),))}
    return document("Gateway", spec, name="istiod", namespace="istio-system", **more)


def route(*matches: dict[str, Any], hosts: Any = ("*",), **more: Any) -> Any:
    target = {"destination": {"host": "istiod", "port": {"number": 15012}}}
    spec = {
        "hosts": list(hosts),
        "gateways": ["istiod"],
        "tls": [{"match": list(matches), "route": [target]}],
    }
    return document("VirtualService", spec, namespace="istio-system", **more)


def ways(*documents: Any, number: int, **more: Any) -> dict[tuple[str, ...], str]:
    found = decoded(snapshot(*documents, **more), PROXY).listeners
    if f"0.0.0.0_{number}" not in found:
        return {}
    return {
        tuple(c.filter_chain_match.server_names): filter_named(
            c, "envoy.filters.network.tcp_proxy", tcp_proxy_pb2.TcpProxy
        ).cluster
        for c in found[f"0.0.0.0_{number}"].filter_chains
    }


def test_each_service_and_subset_has_its_exact_name() -> None:
    assert ways(AUTO_PASSTHROUGH, SUBSETS, number=15443) == {
        (name,): name
        for name in (
            f"outbound_.80_._.{API.host}",
            f"outbound_.80_.v1_.{API.host}",
            f"outbound_.80_.v2_.{API.host}",
            f"outbound_.80_._.{WEB.host}",
            f"outbound_.5432_._.{DB.host}",
        )
    }


def test_only_the_meshs_tls_is_passed_on_and_it_is_not_ended() -> None:
    listener = decoded(snapshot(AUTO_PASSTHROUGH), PROXY).listeners["0.0.0.0_15443"]
    assert [f.name for f in listener.listener_filters] == ["envoy.filters.listener.tls_inspector"]
    assert not listener.HasField("default_filter_chain")
    for chain in listener.filter_chains:
        assert chain.filter_chain_match.transport_protocol == "tls"
        assert set(chain.filter_chain_match.application_protocols) == {
            "istio",
            "istio-peer-exchange",
            "istio-http/1.0",
            "istio-http/1.1",
            "istio-h2",
        }
        assert not chain.HasField("transport_socket")


def test_hosts_choose_the_services() -> None:
    one = gateway(server(15443, "AUTO_PASSTHROUGH", "./db.shop.svc.cluster.local"))
    assert list(ways(one, number=15443)) == [(f"outbound_.5432_._.{DB.host}",)]
    none = gateway(server(15443, "AUTO_PASSTHROUGH", "*.example.com"))
    assert ways(none, number=15443) == {}


def test_services_outside_the_mesh_are_not_passed_on_to() -> None:
    outside = (replace(API, external=True), replace(WEB, resolution=Resolution.DNS), DB)
    found = ways(AUTO_PASSTHROUGH, number=15443, services=outside)
    assert list(found) == [(f"outbound_.5432_._.{DB.host}",)]


def test_a_gateway_is_for_proxies_with_its_labels() -> None:
    other = replace(PROXY, labels={"istio": "ingress"})
    assert decoded(snapshot(AUTO_PASSTHROUGH), other).listeners == {}


def test_tls_is_routed_by_name_to_the_control_plane() -> None:
    resources = decoded(
        snapshot(gateway(), route({"port": 15012, "sniHosts": ["*"]}), services=(ISTIOD,)), PROXY
    )
    (chain,) = resources.listeners["0.0.0.0_15012"].filter_chains
    assert chain.filter_chain_match.transport_protocol == "tls"
    assert not chain.filter_chain_match.application_protocols
    name = f"outbound|15012||{ISTIOD.host}"
    assert (
        filter_named(chain, "envoy.filters.network.tcp_proxy", tcp_proxy_pb2.TcpProxy).cluster
        == name
    )
    assert set(resources.clusters) == {name, "BlackHoleCluster"}
    assert addresses(resources.endpoints[name]) == [("10.231.1.10", 15012, 1)]


def test_server_names_have_one_way_each_the_oldest() -> None:
    first = route({"sniHosts": ["a.local", "b.local"]}, name="first", created=1)
    second = route({"sniHosts": ["b.local", "c.local"]}, name="second", created=2)
    found = ways(gateway(), first, second, number=15012, services=(ISTIOD,))
    assert set(found) == {("a.local", "b.local"), ("c.local",)}


def test_rules_are_for_the_ports_gateways_and_hosts_they_name() -> None:
    def taken(*matches: dict[str, Any], hosts: Any = ("*",), server_hosts: Any = ("*",)) -> bool:
        edge = gateway(server(15012, "PASSTHROUGH", *server_hosts))
        return bool(ways(edge, route(*matches, hosts=hosts), number=15012, services=(ISTIOD,)))

    assert taken({"sniHosts": ["a"]})
    assert not taken({"sniHosts": ["a"], "port": 443})
    assert taken({"sniHosts": ["a"], "gateways": ["istiod"]})
    assert taken({"sniHosts": ["a"], "gateways": ["istio-system/istiod"]})
    assert not taken({"sniHosts": ["a"], "gateways": ["other/istiod"]})
    assert taken({"sniHosts": ["a"]}, hosts=("x.local",), server_hosts=("*.local",))
    assert not taken({"sniHosts": ["a"]}, hosts=("x.com",), server_hosts=("*.local",))
    assert not taken({"sniHosts": ["a"]}, server_hosts=("shop/*",))
    assert taken({"sniHosts": ["a"]}, server_hosts=("istio-system/*",))
    assert taken({"sniHosts": ["a"]}, server_hosts=("./*",))


def test_ipv6_is_bound_where_the_gateway_has_it() -> None:
    both = replace(PROXY, addresses=("10.231.1.2", "fd31:1::2"))
    listener = decoded(snapshot(AUTO_PASSTHROUGH), both).listeners["0.0.0.0_15443"]
    (six,) = listener.additional_addresses
    assert six.address.socket_address.address == "::"


def test_a_router_has_nothing_of_a_sidecar() -> None:
    resources = decoded(snapshot(), PROXY)
    assert set(resources.clusters) == {"BlackHoleCluster"}
    assert resources.listeners == resources.routes == resources.names == {}
