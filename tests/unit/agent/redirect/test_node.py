# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes node: only what is the mesh's is captured, in data and with real packets."""

from __future__ import annotations

import dataclasses

import pytest

from mesh_agent.redirect.node import CLUSTER_PORTS, MESH_ADDRESSES, check, on_node
from mesh_agent.redirect.plan import HostFacts, make_plan
from mesh_agent.redirect.render import describe, render
from mesh_agent.redirect.settings import RedirectSettings
from tests.unit.agent.redirect.conftest import (
    APP,
    GUEST4,
    HOST4,
    HOST6,
    PEER4,
    PROXY,
    Make,
    Network,
    accepted,
)

FACTS = HostFacts(agent_uid=991, proxy_uid=992, addresses=("10.0.0.1",))
SERVICE, API = "10.99.96.7", "10.99.96.1"
# As kube-proxy has them: services at their addresses, and a node port.
KUBE_PROXY = f"""
table ip kube-proxy {{
  chain output {{ type nat hook output priority -100; jump services; }}
  chain prerouting {{ type nat hook prerouting priority -100; jump services; }}
  chain services {{
    ip daddr {{ {SERVICE}, {API} }} tcp dport 80 dnat to {PEER4}:8080
    fib daddr type local tcp dport 30080 dnat to {GUEST4}:8080
  }}
}}
"""


def node(*ports: int, **settings: object) -> dict[str, object]:
    """The settings of a node whose workload serves `ports`, by name."""
    given = on_node(RedirectSettings(**settings), ports)  # type: ignore[arg-type]
    return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}


def test_by_default_only_the_meshs_own_addresses_and_no_port() -> None:
    plan = make_plan(on_node(RedirectSettings(), ()), FACTS)
    assert plan and plan.outbound and plan.outbound.only
    assert (*plan.outbound.only.ipv4, *plan.outbound.only.ipv6) == MESH_ADDRESSES
    assert set(CLUSTER_PORTS) <= set(plan.outbound.ports)
    assert plan.inbound is None
    assert "to 240.240.0.0/16, 2001:2::/48, and nothing else" in "\n".join(describe(plan))
    assert "2001:2::/48" not in render(plan)  # the node has no IPv6


def test_the_workloads_ports_and_no_other() -> None:
    plan = make_plan(on_node(RedirectSettings(), (8080, 22)), FACTS)
    assert plan and plan.inbound and plan.inbound.only == (8080,)
    assert "to ports 8080 of this host, and no others" in "\n".join(describe(plan))
    chosen = on_node(RedirectSettings(include_inbound_ports=(9000,)), (8080,))
    assert chosen.include_inbound_ports == (9000,)


@pytest.mark.parametrize("port", [10250, 6443, 2379, 30000, 32767])
def test_kubernetes_own_ports_are_refused(port: int) -> None:
    with pytest.raises(ValueError, match=rf"workload.ports\[1\]: .* found {port}"):
        check(RedirectSettings(), (8080, port), ["10.0.0.1"])
    with pytest.raises(ValueError, match=r"redirect.include_inbound_ports\[0\]"):
        check(RedirectSettings(include_inbound_ports=(port,)), (), ["10.0.0.1"])


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "10.0.0.0/24", "127.0.0.0/8", "::/0"])
def test_networks_that_hold_the_node_are_refused(cidr: str) -> None:
    settings = RedirectSettings(include_outbound_cidrs=("10.96.0.0/16", cidr))
    with pytest.raises(ValueError, match=r"include_outbound_cidrs\[1\].*node's own address"):
        check(settings, (), ["10.0.0.1"])


def test_others_are_accepted() -> None:
    check(RedirectSettings(include_outbound_cidrs=("10.96.0.0/16",)), (8080, 29999), ["10.0.0.1"])


@pytest.mark.needs_root
def test_calls_to_mesh_addresses_go_to_envoy_and_no_others(network: Network, make: Make) -> None:
    envoy = network.listen(network.host, "0.0.0.0", 15001)
    server = network.listen(network.peer, PEER4, 8080)
    make(**node()).apply()
    network.connect(network.host, "240.240.1.1", 80)
    assert accepted(envoy) == (("240.240.1.1", 80), HOST4)
    network.connect(network.host, PEER4, 8080)
    assert accepted(server) == ((PEER4, 8080), HOST4)


@pytest.mark.needs_root
def test_named_services_come_before_kube_proxy_and_others_stay_its_own(
    network: Network, make: Make
) -> None:
    network.host.run("nft", KUBE_PROXY)
    envoy = network.listen(network.host, "0.0.0.0", 15001)
    server = network.listen(network.peer, PEER4, 8080)
    make(**node(include_outbound_cidrs=(f"{SERVICE}/32",))).apply()
    network.connect(network.host, SERVICE, 80)
    assert accepted(envoy) == ((SERVICE, 80), HOST4)
    network.connect(network.host, API, 80)
    assert accepted(server)[1] == HOST4
    network.connect(network.host, SERVICE, 80, uid=PROXY)
    assert accepted(server)[1] == HOST4


@pytest.mark.needs_root
def test_named_services_may_be_addresses_of_the_host(network: Network, make: Make) -> None:
    network.host.run("ip", "address", "add", f"{SERVICE}/32", "dev", "lo")  # kube-proxy with IPVS
    envoy = network.listen(network.host, "0.0.0.0", 15001)
    make(**node(include_outbound_cidrs=("10.99.96.0/24",))).apply()
    network.connect(network.host, SERVICE, 80)
    assert accepted(envoy)[0] == (SERVICE, 80)


@pytest.mark.needs_root
def test_an_exclusion_wins_over_a_named_network(network: Network, make: Make) -> None:
    network.host.run("nft", KUBE_PROXY)
    envoy = network.listen(network.host, "0.0.0.0", 15001)
    server = network.listen(network.peer, PEER4, 8080)
    settings = node(
        include_outbound_cidrs=("10.99.96.0/24",), exclude_outbound_cidrs=(f"{API}/32",)
    )
    make(**settings).apply()
    network.connect(network.host, API, 80)
    assert accepted(server)[1] == HOST4
    network.connect(network.host, SERVICE, 80)
    assert accepted(envoy) == ((SERVICE, 80), HOST4)


@pytest.mark.needs_root
@pytest.mark.parametrize("source", ["peer", "guest"])
def test_the_workloads_port_goes_to_envoy_also_from_pods(
    network: Network, make: Make, source: str
) -> None:
    caller = getattr(network, source)
    envoy = network.listen(network.host, "0.0.0.0", 15006)
    kubelet = network.listen(network.host, "0.0.0.0", 10250)
    make(**node(8080)).apply()
    network.connect(caller, HOST4, 8080)
    assert accepted(envoy)[0] == (HOST4, 8080)
    network.connect(caller, HOST4, 10250)
    assert accepted(kubelet)[0] == (HOST4, 10250)


@pytest.mark.needs_root
def test_node_ports_and_what_pods_call_stay_kube_proxys(network: Network, make: Make) -> None:
    network.host.run("nft", KUBE_PROXY)
    network.host.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    guest = network.listen(network.guest, GUEST4, 8080)
    server = network.listen(network.peer, PEER4, 8080)
    make(**node(8080, include_outbound_cidrs=("10.99.96.0/24",))).apply()
    network.connect(network.peer, HOST4, 30080)
    assert accepted(guest)[1] == PEER4
    network.connect(network.guest, SERVICE, 80)
    assert accepted(server)[1] == GUEST4


@pytest.mark.needs_root
def test_kubelets_probes_reach_the_workload_itself(network: Network, make: Make) -> None:
    workload = network.listen(network.host, "0.0.0.0", 8080)
    make(**node(8080)).apply()
    network.connect(network.host, HOST4, 8080, uid=APP)
    assert accepted(workload)[0] == (HOST4, 8080)


@pytest.mark.needs_root
def test_envoys_call_to_its_own_workload_comes_back_to_envoy(network: Network, make: Make) -> None:
    envoy = network.listen(network.host, "0.0.0.0", 15006)
    workload = network.listen(network.host, "0.0.0.0", 9090)
    make(**node(8080)).apply()
    network.connect(network.host, HOST4, 8080, uid=PROXY)
    assert accepted(envoy)[0] == (HOST4, 8080)
    network.connect(network.host, HOST4, 9090, uid=PROXY)
    assert accepted(workload)[0] == (HOST4, 9090)


@pytest.mark.needs_root
def test_ipv6_of_the_mesh(network: Network, make: Make) -> None:
    envoy = network.listen(network.host, "::", 15001)
    make((HOST4, HOST6), **node()).apply()
    network.connect(network.host, "2001:2::7", 80)
    assert accepted(envoy) == (("2001:2::7", 80), HOST6)


@pytest.mark.needs_root
@pytest.mark.parametrize("settings", [node(), {"inbound": False, "dns": False}])
def test_calls_to_the_capture_port_itself_are_refused(
    network: Network, make: Make, settings: dict[str, object]
) -> None:
    network.listen(network.host, "0.0.0.0", 15001)
    make(**settings).apply()
    with pytest.raises(ConnectionRefusedError):
        network.connect(network.peer, HOST4, 15001)
