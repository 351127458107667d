# SPDX-License-Identifier: Apache-2.0
"""What podman is told."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from lab.podman import create_arguments, mac_address, network_arguments, object_name
from lab.spec import Host, Interface, Lab, Network

INTERFACES = (
    Interface("network-1", (ip_address("10.9.1.2"), ip_address("fd09:1::2"))),
    Interface("network-2", (ip_address("10.9.2.2"),)),
)
GATEWAY = Host("gateway", INTERFACES, "none", (), ip_address("10.9.1.2"))
DUAL = Network(
    "network-1",
    (ip_network("10.9.1.0/24"), ip_network("fd09:1::/64")),
    (ip_address("10.9.1.254"), ip_address("fd09:1::254")),
)
SINGLE = Network("network-2", (ip_network("10.9.2.0/24"),), (ip_address("10.9.2.254"),))
DEMO = Lab("demo", (DUAL, SINGLE), (GATEWAY,))
OTHER = Lab("other", (DUAL, SINGLE), (GATEWAY,))


def _values(arguments: list[str], option: str) -> list[str]:
    return [arguments[position + 1] for position, word in enumerate(arguments) if word == option]


def test_two_labs_do_not_share_names() -> None:
    assert object_name("demo", "web") == "mesh-lab-web"
    assert object_name("other", "web") == "mesh-lab-other-web"


def test_a_network_has_both_families_and_no_way_out() -> None:
    arguments = network_arguments(DEMO, DUAL)

    assert arguments[:2] == ["network", "create"]
    assert _values(arguments, "--opt") == ["isolate=true"]
    assert _values(arguments, "--subnet") == ["10.9.1.0/24", "fd09:1::/64"]
    assert _values(arguments, "--gateway") == ["10.9.1.254", "fd09:1::254"]
    assert _values(arguments, "--label") == ["hybrid-mesh.lab=demo"]
    assert {"--ipv6", "--disable-dns"} <= set(arguments)
    assert arguments[-1] == "mesh-lab-network-1"
    assert "--ipv6" not in network_arguments(DEMO, SINGLE)


def test_a_host_keeps_its_addresses_and_interfaces() -> None:
    arguments = create_arguments(OTHER, GATEWAY, "image:1")

    assert _values(arguments, "--name") == ["mesh-lab-other-gateway"]
    assert _values(arguments, "--hostname") == ["gateway"]
    assert _values(arguments, "--network") == [
        "mesh-lab-other-network-1:"
        "ip=10.9.1.2,ip6=fd09:1::2,mac=02:00:0a:09:01:02,interface_name=eth0",
        "mesh-lab-other-network-2:ip=10.9.2.2,mac=02:00:0a:09:02:02,interface_name=eth1",
    ]
    assert "hybrid-mesh.lab=other" in _values(arguments, "--label")
    assert arguments[-2:] == ["image:1", "/sbin/init"]


def test_a_host_on_two_networks_routes_neither_family() -> None:
    settings = _values(create_arguments(DEMO, GATEWAY, "image:1"), "--sysctl")

    assert {"net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0"} <= set(settings)


def test_mac_addresses_are_local_and_follow_the_address() -> None:
    assert mac_address(INTERFACES[1]) == "02:00:0a:09:02:02"
