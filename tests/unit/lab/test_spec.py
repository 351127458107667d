# SPDX-License-Identifier: Apache-2.0
"""From an inventory's variables to the description of a lab."""

from __future__ import annotations

import copy
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from lab.errors import LabError
from lab.spec import Cluster, from_inventory

NETWORKS = {
    "network-1": {
        "subnets": ["10.9.1.0/24", "fd09:1::/64"],
        "gateways": ["10.9.1.254", "fd09:1::254"],
    },
    "network-2": {
        "subnets": ["10.9.2.0/24", "fd09:2::/64"],
        "gateways": ["10.9.2.254", "fd09:2::254"],
    },
}
INVENTORY: dict[str, Any] = {
    "_meta": {
        "hostvars": {
            "web": {
                "lab_networks": NETWORKS,
                "lab_addresses": {"network-1": ["10.9.1.11", "fd09:1::11"]},
                "lab_workload": "web",
                "lab_environment": {"VERSION": 1},
                "lab_dns": "10.9.1.2",
            },
            "gateway": {
                "lab_networks": NETWORKS,
                "lab_addresses": {
                    "network-2": ["10.9.2.2", "fd09:2::2"],
                    "network-1": ["10.9.1.2", "fd09:1::2"],
                },
                "lab_dns": "10.9.1.2",
            },
            "elsewhere": {"ansible_host": "192.0.2.1"},
        }
    }
}


def test_a_lab_is_the_hosts_that_have_lab_addresses() -> None:
    lab = from_inventory("demo", INVENTORY)

    assert [host.name for host in lab.hosts] == ["gateway", "web"]
    assert [network.name for network in lab.networks] == ["network-1", "network-2"]
    gateway, web = lab.hosts
    assert [interface.network for interface in gateway.interfaces] == ["network-1", "network-2"]
    assert (gateway.workload, gateway.environment) == ("none", ())
    assert web.addresses == (ip_address("10.9.1.11"), ip_address("fd09:1::11"))
    assert web.environment == (("VERSION", "1"),)
    assert web.nameserver == ip_address("10.9.1.2")


def test_a_host_with_a_cluster() -> None:
    inventory = copy.deepcopy(INVENTORY)
    inventory["_meta"]["hostvars"]["gateway"]["lab_cluster"] = {
        "id": "cluster1",
        "network": "network-1",
        "namespaces": ["shop"],
        "environment": {"PILOT_X": "2s"},
    }

    lab = from_inventory("demo", inventory)

    assert lab.cluster_host == (
        lab.hosts[0],
        Cluster("cluster1", "network-1", ("shop",), (("PILOT_X", "2s"),)),
    )
    assert from_inventory("demo", INVENTORY).cluster_host is None


def _web(**values: object) -> Callable[[dict[str, Any]], object]:
    return lambda hostvars: hostvars["web"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_web(lab_workload="mail"), "web: lab_workload: expected one of .*, found 'mail'"),
        (_web(lab_dns="10.9.1.3"), "web: lab_dns: 10.9.1.3 is no host's address"),
        (_web(lab_dns="there"), "web: lab_dns: expected an IP address, found 'there'"),
        (_web(lab_cluster=[]), r"web: lab_cluster: expected a mapping, found \[\]"),
        (_web(lab_cluster={"id": "c"}), r"web: lab_cluster\.network: not given"),
        (
            _web(lab_cluster={"id": "c", "network": "there", "namespaces": []}),
            r"web: lab_cluster\.network: no such network: there",
        ),
        (
            _web(lab_cluster={"id": "c", "network": "network-1", "namespaces": "shop"}),
            r"web: lab_cluster\.namespaces: expected a list, found 'shop'",
        ),
        (
            _web(lab_addresses={"network-3": ["10.9.3.1"]}),
            "lab_addresses.network-3: no such network",
        ),
        (_web(lab_addresses={"network-1": ["10.9.2.7"]}), "10.9.2.7 is in none of the network's"),
        (_web(lab_addresses={"network-1": []}), "expected a list of addresses, found \\[\\]"),
        (
            _web(lab_addresses={"network-1": ["10.9.1.2"]}),
            "web: 10.9.1.2 is the address of gateway",
        ),
        (_web(lab_networks=None), "web: lab_networks: expected a mapping, found None"),
        (
            _web(
                lab_networks={"network-1": {"subnets": ["10.9.1.1/24"], "gateways": ["10.9.1.254"]}}
            ),
            "lab_networks.network-1: expected a subnet, found '10.9.1.1/24'",
        ),
        (
            _web(
                lab_networks={"network-1": {"subnets": ["10.9.1.0/24"], "gateways": ["10.9.1.254"]}}
            ),
            "lab_networks.network-1 differs from what another host says",
        ),
        (
            _web(
                lab_networks={"network-9": {"subnets": ["10.9.9.0/24"], "gateways": ["::1", "::2"]}}
            ),
            "web: lab_networks.network-9: expected one gateway for each subnet",
        ),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[dict[str, Any]], object], message: str) -> None:
    inventory = copy.deepcopy(INVENTORY)
    change(inventory["_meta"]["hostvars"])

    with pytest.raises(LabError, match=message):
        from_inventory("demo", inventory)


def test_an_inventory_without_a_lab() -> None:
    with pytest.raises(LabError, match="no host with lab_addresses"):
        from_inventory("demo", {"_meta": {"hostvars": {"other": {}}}})
    with pytest.raises(LabError, match=r"no _meta\.hostvars"):
        from_inventory("demo", {})
