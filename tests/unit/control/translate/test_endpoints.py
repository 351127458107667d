# SPDX-License-Identifier: Apache-2.0
"""Endpoints as a proxy sees them: networks, gateways, weights, families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format

from mesh_control.model import Endpoint, NetworkGateway
from tests.unit.control.translate.builders import (
    API,
    AUTO_PASSTHROUGH,
    CLIENT,
    DATABASE,
    GATEWAYS,
    SUBSETS,
    V1,
    V2,
    addresses,
    decoded,
    document,
    router,
    snapshot,
)

NAME = f"outbound|80||{API.host}"
SNI = f"outbound_.80_._.{API.host}"
FAR = replace(V2, network="network-2", address="10.231.2.22")


def seen(*endpoints: Endpoint, proxy: Any = CLIENT, name: str = NAME, **more: Any) -> Any:
    documents = more.pop("documents", ())
    mesh = snapshot(*documents, services=(replace(API, endpoints=endpoints),), **more)
    return addresses(decoded(mesh, proxy).endpoints[name])


def metadata(endpoint: Endpoint, proxy: Any = CLIENT, documents: Any = ()) -> Any:
    mesh = snapshot(*documents, services=(replace(API, endpoints=(endpoint,)),))
    (locality,) = decoded(mesh, proxy).endpoints[NAME].endpoints
    return json_format.MessageToDict(locality.lb_endpoints[0].metadata)["filterMetadata"]


def test_the_own_network_is_reached_directly() -> None:
    assert seen(V1, V2) == [("10.231.1.21", 8080, 1), ("10.231.1.22", 8080, 1)]


def test_an_unhealthy_workload_is_not_called() -> None:
    assert seen(V1, replace(V2, healthy=False)) == [("10.231.1.21", 8080, 1)]
    assert seen(replace(FAR, healthy=False), V1) == [("10.231.1.21", 8080, 1)]


def test_another_network_is_its_gateway_weighted_by_what_is_behind() -> None:
    behind = (FAR, replace(FAR, address="10.231.2.23"), replace(FAR, address="10.231.2.24"))
    assert seen(V1, *behind) == [("10.231.1.21", 8080, 1), ("10.231.1.2", 15443, 3)]


def test_several_gateways_share_the_weight_exactly() -> None:
    gateways = (
        *GATEWAYS,
        NetworkGateway("network-2", "10.231.1.3", 15443),
        NetworkGateway("network-2", "10.231.1.4", 15443),
    )
    assert seen(V1, FAR, gateways=gateways) == [
        ("10.231.1.21", 8080, 3),
        ("10.231.1.2", 15443, 1),
        ("10.231.1.3", 15443, 1),
        ("10.231.1.4", 15443, 1),
    ]


def test_without_mutual_tls_no_way_leads_through_a_gateway() -> None:
    plain = replace(FAR, mutual_tls=False)
    assert seen(V1, plain) == [("10.231.1.21", 8080, 1)]
    off = document(
        "DestinationRule", {"host": "api", "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
    )
    assert seen(V1, FAR, documents=(off,)) == [("10.231.1.21", 8080, 1)]
    peers = document("PeerAuthentication", {"mtls": {"mode": "DISABLE"}})
    assert seen(V1, FAR, documents=(peers,)) == [("10.231.1.21", 8080, 1)]


def test_a_network_without_a_known_gateway_counts_as_reached() -> None:
    assert seen(FAR, gateways=()) == [("10.231.2.22", 8080, 1)]


def test_an_endpoint_without_a_network_is_near() -> None:
    assert seen(replace(FAR, network="")) == [("10.231.2.22", 8080, 1)]


def test_gateways_and_endpoints_of_a_family_that_the_proxy_lacks_are_left_out() -> None:
    six = NetworkGateway("network-2", "fd31:1::2", 15443)
    assert seen(V1, FAR, gateways=(six,)) == [("10.231.1.21", 8080, 1)]
    assert seen(V1, replace(V2, address="fd31:1::22")) == [("10.231.1.21", 8080, 1)]
    both = replace(CLIENT, addresses=("10.231.1.11", "fd31:1::11"))
    assert seen(V1, FAR, gateways=(six,), proxy=both) == [
        ("10.231.1.21", 8080, 1),
        ("fd31:1::2", 15443, 1),
    ]


def test_weights_of_entries_are_kept() -> None:
    assert seen(replace(V1, weight=5), replace(FAR, weight=3)) == [
        ("10.231.1.21", 8080, 5),
        ("10.231.1.2", 15443, 3),
    ]


def test_a_subset_is_the_endpoints_with_its_labels() -> None:
    found = decoded(snapshot(SUBSETS), CLIENT).endpoints
    assert addresses(found[f"outbound|80|v2|{API.host}"]) == [("10.231.1.22", 8080, 1)]


def test_no_endpoints_are_a_resource_too() -> None:
    assert seen() == []


def test_localities_are_told_apart_in_order() -> None:
    mesh = snapshot(
        services=(
            replace(
                API,
                endpoints=(
                    replace(V1, locality="west/b/rack-1"),
                    replace(V2, locality="east/a"),
                ),
            ),
        )
    )
    east, west = decoded(mesh, CLIENT).endpoints[NAME].endpoints
    assert (east.locality.region, east.locality.zone, east.locality.sub_zone) == ("east", "a", "")
    assert (west.locality.region, west.locality.zone) == ("west", "b")
    assert west.locality.sub_zone == "rack-1"
    assert east.load_balancing_weight.value == 1


def test_an_endpoint_says_whose_it_is_and_how_to_talk_to_it() -> None:
    assert metadata(V1) == {
        "envoy.transport_socket_match": {"tlsMode": "istio"},
        "istio": {"workload": "api-10.231.1.21;shop;api;v1;mesh1"},
    }
    assert "envoy.transport_socket_match" not in metadata(replace(V1, mutual_tls=False))


@pytest.mark.parametrize(
    ("spec", "mutual"),
    [
        ({"mtls": {"mode": "DISABLE"}}, False),
        ({"mtls": {"mode": "PERMISSIVE"}}, True),
        (
            {
                "selector": {"matchLabels": {"app": "api"}},
                "portLevelMtls": {8080: {"mode": "DISABLE"}},
            },
            False,
        ),
        (
            {
                "selector": {"matchLabels": {"app": "api"}},
                "portLevelMtls": {9090: {"mode": "DISABLE"}},
            },
            True,
        ),
        ({"selector": {"matchLabels": {"app": "db"}}, "mtls": {"mode": "DISABLE"}}, True),
    ],
)
def test_the_servers_policy_decides_on_mutual_tls(spec: Any, mutual: bool) -> None:
    found = metadata(V1, documents=(document("PeerAuthentication", spec),))
    assert ("envoy.transport_socket_match" in found) is mutual


class TestGateway:
    """What an east-west gateway passes on to."""

    def test_the_networks_of_its_view_and_no_others(self) -> None:
        both, one = router("network-1", "network-2"), router("network-2")
        near, far = ("10.231.1.21", 8080, 1), ("10.231.2.22", 8080, 1)
        assert self.seen(both, V1, FAR) == [near, far]
        assert self.seen(one, V1, FAR) == [far]

    def test_never_on_to_another_gateway(self) -> None:
        assert self.seen(router(), V1, FAR) == [("10.231.1.21", 8080, 1)]

    def test_only_mutual_tls(self) -> None:
        assert self.seen(router("network-1"), replace(V1, mutual_tls=False), V2) == [
            ("10.231.1.22", 8080, 1)
        ]

    @staticmethod
    def seen(proxy: Any, *endpoints: Endpoint) -> Any:
        return seen(*endpoints, proxy=proxy, name=SNI, documents=(AUTO_PASSTHROUGH,))


def test_the_way_back_is_the_other_gateway() -> None:
    assert seen(V1, V2, proxy=DATABASE) == [("10.231.2.2", 15443, 2)]
