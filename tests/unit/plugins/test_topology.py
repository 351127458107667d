# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory's variables as a mesh: members, ways to the control plane, objects."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.hybrid.mesh.plugins.filter.control_plane_addresses import (
    control_plane_addresses,
)
from ansible_collections.hybrid.mesh.plugins.filter.gateway_objects import gateway_objects
from ansible_collections.hybrid.mesh.plugins.filter.member import member
from ansible_collections.hybrid.mesh.plugins.filter.workload_groups import workload_groups
from ansible_collections.hybrid.mesh.plugins.plugin_utils._documents import to_documents


def host(name: str, *groups: str, **variables: Any) -> dict[str, Any]:
    return {"inventory_hostname": name, "group_names": list(groups), **variables}


def workload(name: str = "api-1", group: str | None = "api", **variables: Any) -> dict[str, Any]:
    defaults = {"mesh_address": "10.0.0.21", "mesh_namespace": "shop", "mesh_workload_group": group}
    return host(name, "mesh_workloads", **{**defaults, **variables})


def gateway(name: str = "gw", **variables: Any) -> dict[str, Any]:
    legs = {"one": "10.0.0.2", "two": "10.1.0.2"}
    return host(name, "mesh_gateways", **{"mesh_gateway_addresses": legs, **variables})


def control(**variables: Any) -> dict[str, Any]:
    defaults = {"mesh_address": "10.0.0.10", "mesh_network": "one"}
    return host("control", "mesh_control_plane", **{**defaults, **variables})


def facts(**interfaces: str) -> dict[str, Any]:
    return {
        "interfaces": ["lo", *interfaces],
        "lo": {"ipv4": {"address": "127.0.0.1"}},
        **{name: {"ipv4": {"address": address}} for name, address in interfaces.items()},
    }


def test_a_workload_with_its_defaults() -> None:
    found = member(workload())
    assert found["service_account"] == "api"
    assert found["labels"] == {"app": "api"}
    assert found["network"] == "network-1"
    assert found["trust_domain"] == "cluster.local"
    assert (found["mesh_id"], found["cluster_id"]) == ("mesh1", "mesh1")
    assert found["addresses"] == ["10.0.0.21"]
    assert found["profile"] == "vm"


def test_a_workload_that_says_everything() -> None:
    found = member(
        workload(
            mesh_service_account="orders",
            mesh_labels={"app": "orders", "version": 2},
            mesh_extra_addresses=["fd00::21"],
            mesh_ports=[{"name": "http", "port": "8080"}],
            mesh_probe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2},
            mesh_id="east",
        )
    )
    assert found["service_account"] == "orders"
    assert found["labels"] == {"app": "orders", "version": "2"}
    assert found["addresses"] == ["10.0.0.21", "fd00::21"]
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert found["health_probe"] == {"http_get": {"path": "/", "port": 8080}, "period_seconds": 2}
    assert found["cluster_id"] == "east"


def test_a_gateway_is_no_workload() -> None:
    found = member(gateway(mesh_address="10.0.0.2"))
    assert (found["profile"], found["group"]) == ("gateway", None)
    assert found["namespace"] == "istio-system"
    assert found["labels"]["istio"] == "eastwestgateway"
    assert found["network"] == "one"


@pytest.mark.parametrize(
    ("interfaces", "address"),
    [
        ({"eth0": "10.0.0.5"}, "10.0.0.5"),
        ({"eth0": "10.0.0.5", "docker0": "172.17.0.1"}, "10.0.0.5"),
        ({"eth0": "10.0.0.5", "eth1": "10.1.0.5"}, None),
        ({"docker0": "172.17.0.1"}, None),
    ],
)
def test_the_only_address_is_the_hosts(interfaces: dict[str, str], address: str | None) -> None:
    assert (
        member(workload(mesh_address=None, ansible_facts=facts(**interfaces)))["address"] == address
    )


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"group": None}, "api-1: mesh_workload_group is not set"),
        ({"mesh_address": "10.0.0"}, "api-1: mesh_address: expected an IP address, found '10.0.0'"),
        ({"mesh_labels": ["a"]}, "api-1: mesh_labels: expected a mapping, found ['a']"),
        ({"mesh_ports": {"http": 80}}, "api-1: mesh_ports: expected a list"),
        (
            {"mesh_ports": [{"port": 80}]},
            "api-1: mesh_ports[0]: expected a mapping with name and port",
        ),
        (
            {"mesh_ports": [{"name": "x", "port": 0}]},
            "api-1: mesh_ports[0].port: expected 1 to 65535",
        ),
        ({"mesh_ports": [{"name": "x", "port": 1, "prot": "TCP"}]}, "unknown key 'prot'"),
        (
            {"mesh_ports": [{"name": "http", "port": 80}, {"name": "http", "port": 81}]},
            "api-1: mesh_ports[1].name: expected each name once, found 'http' twice",
        ),
    ],
)
def test_a_mistake_is_named(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        member(workload(**variables))
    assert said in str(error.value)


def test_on_its_own_network_the_control_plane_is_called_directly() -> None:
    me = workload(mesh_network="one")
    assert control_plane_addresses(me, [control()], [gateway()]) == ["10.0.0.10:15012"]
    six = control(mesh_address="fd00::10")
    assert control_plane_addresses(me, [six]) == ["[fd00::10]:15012"]


def test_on_another_network_the_gateways_lead_to_it() -> None:
    me = workload(mesh_network="two")
    public = gateway(
        "far", mesh_gateway_addresses={"one": "10.0.0.3"}, mesh_gateway_public_address="192.0.2.3"
    )
    elsewhere = gateway("other", mesh_gateway_addresses={"two": "10.1.0.9", "three": "10.2.0.9"})
    found = control_plane_addresses(me, [control()], [gateway(), elsewhere, public])
    assert found == ["10.1.0.2:15012", "192.0.2.3:15012"]


def test_a_control_plane_without_an_address() -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"control: mesh_address is not set.*10\.0\.0\.5, 10\.1\.0\.5"
    ):
        control_plane_addresses(
            workload(mesh_network="one"),
            [control(mesh_address=None, ansible_facts=facts(eth0="10.0.0.5", eth1="10.1.0.5"))],
        )


def test_one_group_for_hosts_that_share_it() -> None:
    found = workload_groups(
        [
            workload(
                "api-1", mesh_labels={"version": "v1"}, mesh_ports=[{"name": "http", "port": 8080}]
            ),
            workload(
                "api-2", mesh_labels={"version": "v2"}, mesh_ports=[{"name": "http", "port": 8080}]
            ),
            workload("web-1", "web"),
        ]
    )
    assert [(o["kind"], o["metadata"]["name"]) for o in found] == [
        ("WorkloadGroup", "api"),
        ("WorkloadGroup", "web"),
    ]
    assert found[0]["spec"] == {
        "metadata": {"labels": {"app": "api"}},
        "template": {"serviceAccount": "api", "network": "network-1", "ports": {"http": 8080}},
    }


def test_a_group_on_two_networks_has_none() -> None:
    found = workload_groups([workload("a", mesh_network="one"), workload("b", mesh_network="two")])
    assert "network" not in found[0]["spec"]["template"]


@pytest.mark.parametrize(
    ("variables", "what"),
    [
        ({"mesh_service_account": "other"}, "mesh_service_account"),
        ({"mesh_probe": {"tcpSocket": {"port": 1}}}, "mesh_probe"),
        ({"mesh_ports": [{"name": "http", "port": 81}]}, "the port http in mesh_ports"),
    ],
)
def test_hosts_of_a_group_have_to_agree(variables: dict[str, Any], what: str) -> None:
    one = workload("a", mesh_ports=[{"name": "http", "port": 80}])
    two = workload("b", **{"mesh_ports": [{"name": "http", "port": 80}], **variables})
    with pytest.raises(AnsibleFilterError) as error:
        workload_groups([one, two])
    assert f"workload group shop/api: its hosts disagree on {what}: a has" in str(error.value)


def test_without_gateways_there_are_no_objects() -> None:
    assert gateway_objects([], [control()]) == []


def test_networks_are_reached_from_the_other_side() -> None:
    found = gateway_objects(
        [gateway()], [control()], {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    )
    settings = found[0]
    assert (settings["kind"], settings["metadata"]["name"]) == ("ConfigMap", "istio")
    networks = yaml.safe_load(settings["data"]["meshNetworks"])["networks"]
    assert networks["one"]["gateways"] == [{"address": "10.1.0.2", "port": 15443}]
    assert networks["two"]["gateways"] == [{"address": "10.0.0.2", "port": 15443}]
    assert (
        yaml.safe_load(settings["data"]["mesh"])["outboundTrafficPolicy"]["mode"] == "REGISTRY_ONLY"
    )


def test_a_public_address_is_where_the_others_reach_it() -> None:
    one = gateway(
        mesh_gateway_addresses={"one": "10.0.0.2"}, mesh_gateway_public_address="192.0.2.2"
    )
    networks = yaml.safe_load(gateway_objects([one], [control()])[0]["data"]["meshNetworks"])[
        "networks"
    ]
    assert networks == {
        "one": {"endpoints": [], "gateways": [{"address": "192.0.2.2", "port": 15443}]}
    }


@pytest.mark.parametrize(
    "legs", [{"one": "10.0.0.2"}, {"a": "10.0.0.2", "b": "10.1.0.2", "c": "10.2.0.2"}]
)
def test_a_gateway_that_nobody_could_reach(legs: dict[str, str]) -> None:
    with pytest.raises(
        AnsibleFilterError, match=r"gw: mesh_gateway_addresses: .*mesh_gateway_public_address"
    ):
        gateway_objects([gateway(mesh_gateway_addresses=legs)], [control()])


def test_the_control_plane_is_exposed_where_its_tls_ends() -> None:
    found = {
        (o["kind"], o["metadata"]["name"]): o for o in gateway_objects([gateway()], [control()])
    }
    server = found["Gateway", "istiod-gateway"]["spec"]["servers"][0]
    assert (server["port"]["number"], server["tls"]["mode"]) == (15012, "PASSTHROUGH")
    entry = found["WorkloadEntry", "istiod-control"]["spec"]
    assert entry == {"address": "10.0.0.10", "labels": {"app": "istiod"}, "network": "one"}
    assert found["Service", "istiod"]["spec"]["selector"] == entry["labels"]
    route = found["VirtualService", "istiod-vs"]["spec"]["tls"][0]
    assert route["match"][0]["sniHosts"] == server["hosts"]
    passthrough = found["Gateway", "cross-network-gateway"]["spec"]["servers"][0]
    assert passthrough["tls"]["mode"] == "AUTO_PASSTHROUGH"


def test_documents_read_back_as_they_were() -> None:
    values = [{"b": 1, "a": "x: y\nz\n"}, {"c": [{"d": "true"}]}]
    text = to_documents(values)
    assert list(yaml.safe_load_all(text)) == values
    assert text.startswith("b: 1\na: |\n  x: y\n")


def test_a_kubernetes_node() -> None:
    ports = [{"name": "http", "port": 9100}]
    found = member(workload(mesh_profile="node", mesh_ports=ports))
    assert found["profile"] == "node"
    assert found["group"] == "api"


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"mesh_profile": "pod"}, "api-1: mesh_profile: expected one of vm, node, found 'pod'"),
        (
            {"mesh_profile": "node", "mesh_ports": [{"name": "http", "port": 10250}]},
            r"api-1: mesh_ports\[0\].port: .*found 10250",
        ),
        (
            {"mesh_profile": "node", "mesh_ports": [{"name": "http", "port": "30080"}]},
            r"api-1: mesh_ports\[0\].port: .*found 30080",
        ),
    ],
)
def test_what_no_node_can_be(variables: dict[str, Any], problem: str) -> None:
    with pytest.raises(AnsibleFilterError, match=problem):
        member(workload(**variables))


def test_a_gateway_is_no_node() -> None:
    with pytest.raises(AnsibleFilterError, match="gw: mesh_profile: expected none"):
        member(gateway(mesh_profile="node"))
