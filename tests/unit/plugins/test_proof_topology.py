# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts and networks of the report."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.topology import (
    Host,
    destinations,
    gateway_name,
    identity_of,
    landings,
    owners,
    place,
    read_host,
)

_API = "spiffe://cluster.local/ns/shop/sa/api"


@pytest.fixture
def hosts(verify_run: dict[str, Any]) -> dict[str, Host]:
    found = [
        read_host(name, host["groups"], host["variables"])
        for name, host in verify_run["hosts"].items()
    ]
    return {host.name: host for host in place(found)}


def _end(upstream: str, serial: str, peer: str = _API, count: int = 1) -> dict[str, Any]:
    path = "gateway 10.231.1.2" if upstream.endswith(":15443") else "direct"
    return {"upstream": upstream, "path": path, "serial": serial, "peer": peer, "count": count}


def test_kinds_identities_and_networks(hosts: dict[str, Host]) -> None:
    assert {name: (host.kind, host.identity, host.networks) for name, host in hosts.items()} == {
        "control": ("control_plane", "mesh-system/control", ("network-1",)),
        "gateway": ("gateway", "", ("network-1", "network-2")),
        "web": ("workload", "shop/web", ("network-1",)),
        "api-1": ("workload", "shop/api", ("network-1",)),
        "api-2": ("workload", "shop/api", ("network-1",)),
        "db": ("workload", "shop/db", ("network-2",)),
        "outsider": ("outsider", "", ("network-1",)),
    }


def test_addresses_without_loopback_and_link_local(hosts: dict[str, Host]) -> None:
    assert hosts["web"].addresses == ("10.231.1.11", "fd31:1::11")
    assert hosts["gateway"].addresses == ("10.231.1.2", "10.231.2.2", "fd31:1::2", "fd31:2::2")


def test_a_gateway_is_found_on_its_networks_by_facts_alone(verify_run: dict[str, Any]) -> None:
    del verify_run["hosts"]["gateway"]["variables"]["mesh_gateway_addresses"]
    found = place(
        [
            read_host(name, host["groups"], host["variables"])
            for name, host in verify_run["hosts"].items()
        ]
    )
    assert {host.name: host.networks for host in found}["gateway"] == ("network-1", "network-2")


def test_without_facts_what_the_inventory_says_remains(verify_run: dict[str, Any]) -> None:
    for host in verify_run["hosts"].values():
        del host["variables"]["ansible_facts"]
    found = {
        host.name: host
        for host in place(
            [
                read_host(name, host["groups"], host["variables"])
                for name, host in verify_run["hosts"].items()
            ]
        )
    }
    assert found["db"].networks == ("network-2",)
    assert found["gateway"].networks == ("network-1", "network-2")
    assert found["outsider"].networks == ()
    assert found["outsider"].addresses == ("10.231.1.99",)


def test_a_subnet_that_only_hosts_have_in_common_is_no_network() -> None:
    bridge = "172.17.0.0/16"
    inside = Host("a", "workload", ("n1",), ("10.0.0.1",), ("10.0.0.0/24", bridge))
    outside = Host("b", "outsider", (), ("10.9.0.1",), ("10.9.0.0/24", bridge))
    assert place([inside, outside])[1].networks == ()


@pytest.mark.parametrize("name", ["eth0.100", "br-lan", "eth0:1"])
def test_names_of_interfaces_differ_from_those_of_their_facts(name: str) -> None:
    key = name.replace(".", "_").replace("-", "_").replace(":", "_")
    facts = {
        "interfaces": [name],
        key: {
            "ipv4": {"address": "10.0.0.1", "netmask": "255.255.255.0"},
            "ipv4_secondaries": [{"address": "10.0.1.1", "prefix": "24"}],
            "ipv6": [
                {"address": "fd00::1", "prefix": "64"},
                {"address": "fe80::1", "prefix": "64"},
            ],
        },
    }
    host = read_host("a", [], {"ansible_facts": facts})
    assert host.addresses == ("10.0.0.1", "10.0.1.1", "fd00::1")
    assert host.subnets == ("10.0.0.0/24", "10.0.1.0/24", "fd00::/64")


@pytest.mark.parametrize(
    ("call", "endpoints", "expected"),
    [
        ({"url": "http://10.231.1.11/", "to": ["db"]}, [], ["db"]),
        ({"url": "http://x/"}, [_end("10.231.1.2:15443", "1")], ["api-1", "api-2"]),
        ({"url": "http://10.231.1.11/"}, [], ["web"]),
        ({"url": "http://[fd31:1:0::11]/"}, [], ["web"]),
        ({"url": "tcp://10.231.2.2:15443"}, [], ["gateway"]),
        ({"url": "http://web/"}, [], ["web"]),
        ({"url": "http://api.shop.svc.cluster.local/"}, [], ["api-1", "api-2"]),
        ({"url": "http://api.other.svc.cluster.local/"}, [], []),
        ({"url": "http://example.org/"}, [], []),
    ],
)
def test_destinations(
    hosts: dict[str, Host],
    call: dict[str, Any],
    endpoints: list[dict[str, Any]],
    expected: list[str],
) -> None:
    assert destinations(list(hosts.values()), call, {"endpoints": endpoints}) == expected


def test_a_certificate_seen_directly_tells_the_host_behind_a_gateway(
    hosts: dict[str, Host],
) -> None:
    everyone = list(hosts.values())
    direct = [_end("10.231.1.21:8080", "aa"), _end("10.231.1.22:8080", "bb", count=3)]
    owner = owners(everyone, direct)
    assert owner == {"aa": "api-1", "bb": "api-2"}
    assert landings(everyone, direct, owner) == {"api-1": 1, "api-2": 3}
    assert landings(everyone, [_end("10.231.1.2:15443", "bb")], owner) == {"api-2": 1}
    assert landings(everyone, [_end("10.231.1.2:15443", "cc")], owner) == {}


def test_a_certificate_of_two_hosts_tells_nothing(hosts: dict[str, Host]) -> None:
    both = [_end("10.231.1.21:8080", "aa"), _end("10.231.1.22:8080", "aa")]
    assert owners(list(hosts.values()), both) == {}


def test_gateways_have_names(hosts: dict[str, Host]) -> None:
    everyone = list(hosts.values())
    assert gateway_name(everyone, "gateway 10.231.2.2") == "gateway"
    assert gateway_name(everyone, "gateway 192.0.2.1") == ""
    assert gateway_name(everyone, "direct") == ""


@pytest.mark.parametrize(
    ("spiffe", "identity"),
    [
        (_API, "shop/api"),
        ("spiffe://td/ns/a/sa", ""),
        ("spiffe://td/workload/x", ""),
        ("", ""),
    ],
)
def test_identities(spiffe: str, identity: str) -> None:
    assert identity_of(spiffe) == identity
