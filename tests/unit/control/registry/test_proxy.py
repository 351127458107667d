# SPDX-License-Identifier: Apache-2.0
"""Nodes as agents send them."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_control.registry.errors import NodeError
from mesh_control.registry.proxy import (
    group_of,
    has_probe,
    locality_of,
    named_ports,
    proxy_from_node,
)

ID = "sidecar~10.231.1.21~api-1.shop~shop.svc.cluster.local"


def test_a_sidecar() -> None:
    metadata = {
        "NAME": "api-1",
        "NAMESPACE": "shop",
        "SERVICE_ACCOUNT": "api",
        "INSTANCE_IPS": "10.231.1.21,fd31:1:0::21,10.231.1.21",
        "LABELS": {"app": "api", "version": "v1"},
        "STATIC_LABELS": {"app": "old", "zone": "a"},
        "NETWORK": "network-1",
        "AUTO_REGISTER_GROUP": "api",
    }
    proxy = proxy_from_node(ID, metadata)
    assert proxy.kind == "sidecar"
    assert proxy.addresses == ("10.231.1.21", "fd31:1::21")
    assert (proxy.name, proxy.namespace, proxy.service_account) == ("api-1", "shop", "api")
    assert proxy.labels == {"app": "api", "version": "v1", "zone": "a"}
    assert (proxy.network, proxy.network_view) == ("network-1", ())
    assert proxy.domain == "shop.svc.cluster.local"
    assert proxy.metadata == metadata
    assert group_of(proxy) == "api"


def test_the_id_serves_where_metadata_is_silent() -> None:
    proxy = proxy_from_node("router~fd31:1::2~gateway.a.b~b.svc.cluster.local", {})
    assert (proxy.kind, proxy.name, proxy.namespace) == ("router", "gateway.a", "b")
    assert proxy.addresses == ("fd31:1::2",)
    assert group_of(proxy) == ""


@pytest.mark.parametrize("view", ["network-1, network-2", ["network-1", "network-2"]])
def test_a_network_view(view: object) -> None:
    proxy = proxy_from_node(ID, {"REQUESTED_NETWORK_VIEW": view})
    assert proxy.network_view == ("network-1", "network-2")


@pytest.mark.parametrize(
    ("node_id", "metadata", "expected"),
    [
        (
            "sidecar~1.2.3.4~a.b",
            {},
            "node id: expected TYPE~IP~NAME.NAMESPACE~DOMAIN, found 'sidecar~1.2.3.4~a.b'",
        ),
        (
            "ztunnel~1.2.3.4~a.b~c",
            {},
            "node id: expected type sidecar or router, found 'ztunnel'",
        ),
        ("sidecar~1.2.3.4~a~c", {}, "node id: expected NAME.NAMESPACE, found 'a'"),
        (
            "sidecar~host~a.b~c",
            {"INSTANCE_IPS": "x,y"},
            "metadata INSTANCE_IPS: expected at least one IP address there or in the node id, "
            "found 'x, y'",
        ),
        (ID, {"NETWORK": 1}, "metadata NETWORK: expected a string, found 1"),
        (
            ID,
            {"LABELS": {"a": 1}},
            "metadata LABELS: expected a mapping of strings, found {'a': 1}",
        ),
        (
            ID,
            {"REQUESTED_NETWORK_VIEW": 7},
            "metadata REQUESTED_NETWORK_VIEW: expected comma-separated strings, found 7",
        ),
    ],
)
def test_what_is_no_node(node_id: str, metadata: dict[str, object], expected: str) -> None:
    with pytest.raises(NodeError) as error:
        proxy_from_node(node_id, metadata)
    assert str(error.value) == expected
    assert error.value.status == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "ports",
    [
        '[{"name": "http", "containerPort": 8080, "protocol": "TCP"}, {"containerPort": 1}]',
        [{"name": "http", "containerPort": 8080.0, "protocol": ""}],
    ],
)
def test_ports(ports: object) -> None:
    assert named_ports(proxy_from_node(ID, {"POD_PORTS": ports})) == {"http": 8080}


@pytest.mark.parametrize("ports", ["{", '{"a": 1}', [{"name": "x"}], [{"containerPort": 0}], 5])
def test_ports_that_are_none(ports: object) -> None:
    with pytest.raises(NodeError, match="metadata POD_PORTS: expected"):
        named_ports(proxy_from_node(ID, {"POD_PORTS": ports}))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, ""),
        ({"topology.istio.io/locality": "eu.a.1"}, "eu/a/1"),
        ({"istio-locality": "eu/a.x"}, "eu/a.x"),
        ({"istio-locality": "us", "topology.istio.io/locality": "eu"}, "eu"),
    ],
)
def test_locality(labels: dict[str, str], expected: str) -> None:
    assert locality_of(proxy_from_node(ID, {"LABELS": labels})) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [({"readinessProbe": {"tcpSocket": {}}}, True), ({}, False), ("x", False)],
)
def test_a_probe_of_its_own(config: Any, expected: bool) -> None:
    assert has_probe(proxy_from_node(ID, {"PROXY_CONFIG": config})) is expected
