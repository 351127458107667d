# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects and ways of an inventory whose control plane is an istiod in its cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.filter.control_plane_addresses import (
    control_plane_addresses,
)
from ansible_collections.hybrid.mesh.plugins.filter.istiod_gateway_objects import (
    istiod_gateway_objects,
)
from ansible_collections.hybrid.mesh.plugins.filter.member import member
from ansible_collections.hybrid.mesh.plugins.filter.service_accounts import service_accounts

ISTIOD = {
    "mesh_control_plane_addresses": ["10.0.0.10:15012"],
    "mesh_control_plane_network": "one",
}


def gateway(name: str, network: str, **legs: str) -> dict[str, Any]:
    return {
        "inventory_hostname": name,
        "group_names": ["mesh_gateways"],
        "mesh_network": network,
        "mesh_gateway_addresses": legs,
        **ISTIOD,
    }


def workload(network: str, **variables: Any) -> dict[str, Any]:
    return {
        "inventory_hostname": f"host-{network}",
        "group_names": ["mesh_workloads"],
        "mesh_address": "10.0.0.21",
        "mesh_namespace": "shop",
        "mesh_workload_group": "api",
        "mesh_network": network,
        **ISTIOD,
        **variables,
    }


INTO_ONE = gateway("gw-1", "one", one="10.0.0.2", two="10.1.0.2")
INTO_TWO = gateway("gw-2", "two", one="10.0.0.3", two="10.1.0.3")


def by_kind(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{o['kind']} {o['metadata']['name']}": o for o in objects}


def test_each_gateway_leads_into_its_own_network() -> None:
    hosts = [INTO_ONE, INTO_TWO, workload("one"), workload("two")]
    found = by_kind(istiod_gateway_objects([INTO_ONE, INTO_TWO], hosts))
    assert set(found) == {
        "ServiceAccount istio-eastwestgateway",
        "Service hybrid-mesh-one",
        "Service hybrid-mesh-two",
        "Gateway hybrid-mesh-networks",
        "Gateway hybrid-mesh-istiod",
        "VirtualService hybrid-mesh-istiod",
    }
    one, two = found["Service hybrid-mesh-one"], found["Service hybrid-mesh-two"]
    assert one["metadata"]["labels"] == {"topology.istio.io/network": "one"}
    assert one["spec"]["externalIPs"] == ["10.1.0.2"]
    assert two["spec"]["externalIPs"] == ["10.0.0.3"]
    assert one["spec"]["clusterIP"] == "None"


def test_only_our_gateways_follow_our_objects() -> None:
    found = by_kind(istiod_gateway_objects([INTO_ONE], [INTO_ONE, workload("two")]))
    labels = member(INTO_ONE)["labels"]
    for name in ("Gateway hybrid-mesh-networks", "Gateway hybrid-mesh-istiod"):
        selector = found[name]["spec"]["selector"]
        assert selector.items() <= labels.items()
        assert not selector.items() <= {"istio": "eastwestgateway"}.items()


def test_istiod_is_exposed_to_who_needs_it() -> None:
    near = by_kind(istiod_gateway_objects([INTO_ONE], [INTO_ONE, workload("one")]))
    assert "Gateway hybrid-mesh-istiod" not in near
    far = by_kind(
        istiod_gateway_objects(
            [INTO_ONE], [INTO_ONE, workload("two")], namespace="mesh", revision="canary"
        )
    )
    route = far["VirtualService hybrid-mesh-istiod"]["spec"]
    assert route["hosts"] == ["istiod-canary.mesh.svc"]
    assert route["tls"][0]["route"][0]["destination"]["host"] == (
        "istiod-canary.mesh.svc.cluster.local"
    )
    assert istiod_gateway_objects([], [workload("two")]) == []


def test_accounts_are_made_once() -> None:
    accounts = service_accounts([workload("one"), workload("two"), INTO_ONE])
    assert [(a["metadata"]["namespace"], a["metadata"]["name"]) for a in accounts] == [
        ("istio-system", "istio-eastwestgateway"),
        ("shop", "api"),
    ]


def test_ways_to_istiod() -> None:
    gateways = [INTO_ONE, INTO_TWO]
    assert control_plane_addresses(workload("one"), [], gateways) == ["10.0.0.10:15012"]
    # Only the gateway that leads into istiod's network has a way to it.
    assert control_plane_addresses(workload("two"), [], gateways) == ["10.1.0.2:15012"]
    everywhere = workload("two", mesh_control_plane_network=None)
    assert control_plane_addresses(everywhere, [], gateways) == ["10.0.0.10:15012"]
    unsaid = workload("one", mesh_control_plane_addresses=None)
    assert control_plane_addresses(unsaid, [], [], ["192.0.2.7:15012"]) == ["192.0.2.7:15012"]
    assert control_plane_addresses(unsaid, [], []) == []


def test_an_address_without_a_port() -> None:
    with pytest.raises(AnsibleFilterError) as error:
        member(workload("one", mesh_control_plane_addresses=["10.0.0.10"]))
    assert "mesh_control_plane_addresses[0]: expected HOST:PORT, found '10.0.0.10'" in str(error)


def test_the_entry_that_istiod_makes() -> None:
    assert member(workload("one"))["entry"] == "api-10.0.0.21-one"
    assert member(workload("one", mesh_address="fd00::21"))["entry"] == "api-fd00--21-one"
    assert member(INTO_ONE)["entry"] is None
