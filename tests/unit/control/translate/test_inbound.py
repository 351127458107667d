# SPDX-License-Identifier: Apache-2.0
"""The listener for what others send: which connections it takes, and what it asks of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2

from mesh_control.model import Protocol
from tests.unit.control.translate.builders import (
    API,
    DATABASE,
    SERVER,
    STRICT,
    decoded,
    document,
    endpoint,
    filter_named,
    port,
    service,
    snapshot,
    unpacked,
)

MESH = ("istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2")
Chain = tuple[int, str, tuple[str, ...], bool]


def peers(spec: dict[str, Any], **more: Any) -> Any:
    return document("PeerAuthentication", spec, **more)


def listener(*documents: Any, proxy: Any = SERVER, **more: Any) -> Any:
    return decoded(snapshot(*documents, **more), proxy).listeners["virtualInbound"]


def chains(*documents: Any, number: int, **more: Any) -> list[Chain]:
    """Of one destination port (0: any): port, transport, protocols, whether TLS ends."""
    return [
        (
            chain.filter_chain_match.destination_port.value,
            chain.filter_chain_match.transport_protocol,
            tuple(chain.filter_chain_match.application_protocols),
            chain.HasField("transport_socket"),
        )
        for chain in listener(*documents, **more).filter_chains
        if chain.filter_chain_match.destination_port.value == number
    ]


HTTP, TCP, REST = 8080, 5432, 0


def test_what_a_workload_serves_does_not_depend_on_its_health() -> None:
    ill = replace(API, endpoints=tuple(replace(e, healthy=False) for e in API.endpoints))
    assert chains(number=HTTP, services=(ill,)) == chains(number=HTTP, services=(API,)) != []


@pytest.mark.parametrize(
    ("mode", "number", "expected"),
    [
        ("STRICT", HTTP, [("tls", (), True)]),
        ("STRICT", TCP, [("tls", (), True)]),
        ("STRICT", REST, [("tls", (), True)]),
        ("PERMISSIVE", HTTP, [("tls", MESH, True), ("raw_buffer", (), False)]),
        ("PERMISSIVE", TCP, [("tls", MESH, True), ("raw_buffer", (), False), ("tls", (), False)]),
        ("PERMISSIVE", REST, [("tls", MESH, True), ("raw_buffer", (), False), ("tls", (), False)]),
        ("DISABLE", HTTP, [("raw_buffer", (), False)]),
        ("DISABLE", TCP, [("", (), False)]),
        ("DISABLE", REST, [("", (), False)]),
    ],
)
def test_what_each_mode_takes(mode: str, number: int, expected: list[Any]) -> None:
    proxy = DATABASE if number == TCP else SERVER
    found = chains(peers({"mtls": {"mode": mode}}), number=number, proxy=proxy)
    assert found == [(number, *chain) for chain in expected]


def strict(number: int, *documents: Any) -> bool:
    return chains(*documents, number=number) == [(number, "tls", (), True)]


def test_the_narrowest_policy_counts() -> None:
    mesh = STRICT
    loose = peers({"mtls": {"mode": "PERMISSIVE"}}, name="loose")
    mine = {"selector": {"matchLabels": {"app": "api"}}}
    workload = peers({**mine, "mtls": {"mode": "STRICT"}}, name="workload")
    others = {"selector": {"matchLabels": {"app": "db"}}, "mtls": {"mode": "STRICT"}}
    assert not strict(HTTP)
    assert strict(HTTP, mesh)
    assert not strict(HTTP, mesh, loose)
    assert strict(HTTP, mesh, loose, workload)
    assert not strict(HTTP, mesh, loose, peers(others, name="others"))
    assert strict(HTTP, mesh, peers({**mine, "mtls": {"mode": "UNSET"}}, name="unset"))
    assert strict(HTTP, mesh, peers({"mtls": {"mode": "DISABLE"}}, namespace="other"))


def test_a_port_may_differ_also_one_of_no_service() -> None:
    ports = peers(
        {
            "selector": {"matchLabels": {"app": "api"}},
            "portLevelMtls": {8080: {"mode": "PERMISSIVE"}, "7070": {"mode": "DISABLE"}},
        }
    )
    assert strict(REST, STRICT, ports)
    assert len(chains(STRICT, ports, number=8080)) == 2
    assert chains(STRICT, ports, number=7070) == [(7070, "", (), False)]


def test_of_two_policies_the_older_counts() -> None:
    def made(mode: str, created: int) -> Any:
        return peers({"mtls": {"mode": mode}}, name=mode.lower(), created=created)

    assert strict(HTTP, made("PERMISSIVE", 2), made("STRICT", 1))
    assert not strict(HTTP, made("PERMISSIVE", 1), made("STRICT", 2))


def test_tls_ends_with_a_certificate_of_the_trust_domain() -> None:
    chain = listener(STRICT).filter_chains[-1]
    context = unpacked(chain.transport_socket.typed_config, tls_pb2.DownstreamTlsContext)
    assert context.require_client_certificate.value
    common = context.common_tls_context
    assert list(common.alpn_protocols) == ["h2", "http/1.1"]
    validation = common.combined_validation_context.default_validation_context
    (san,) = validation.match_typed_subject_alt_names
    assert san.matcher.prefix == "spiffe://cluster.local/"


def test_calls_of_the_listeners_own_port_end() -> None:
    own = listener().filter_chains[0]
    assert own.filter_chain_match.destination_port.value == 15006
    tcp = filter_named(own, "envoy.filters.network.tcp_proxy", tcp_proxy_pb2.TcpProxy)
    assert tcp.cluster == "BlackHoleCluster"


def test_http_goes_to_the_workload_and_tells_who_calls() -> None:
    chain = listener(STRICT).filter_chains[-1]
    manager = filter_named(
        chain, "envoy.filters.network.http_connection_manager", hcm_pb2.HttpConnectionManager
    )
    assert manager.forward_client_cert_details == hcm_pb2.HttpConnectionManager.APPEND_FORWARD
    assert manager.set_current_client_cert_details.uri
    assert manager.normalize_path.value
    (host,) = manager.route_config.virtual_hosts
    (route,) = host.routes
    assert route.route.cluster == "inbound|8080||"
    assert route.route.timeout.ToSeconds() == 0
    assert route.route.retry_policy.retry_on == "reset-before-request"


def test_grpc_is_not_sent_again() -> None:
    grpc = replace(API, ports=(port("http", 80, Protocol.GRPC, 8080),))
    chain = listener(STRICT, services=(grpc,)).filter_chains[-1]
    manager = filter_named(
        chain, "envoy.filters.network.http_connection_manager", hcm_pb2.HttpConnectionManager
    )
    action = manager.route_config.virtual_hosts[0].routes[0].route
    assert not action.HasField("retry_policy")


def test_destination_and_tls_are_looked_at_in_both_families() -> None:
    both = replace(SERVER, addresses=("10.231.1.21", "fd31:1::21"))
    made = listener(proxy=both)
    assert [f.name for f in made.listener_filters] == [
        "envoy.filters.listener.original_dst",
        "envoy.filters.listener.tls_inspector",
    ]
    assert made.address.socket_address.address == "0.0.0.0"
    (six,) = made.additional_addresses
    assert six.address.socket_address.address == "::"


def test_ports_are_the_workloads_own() -> None:
    def ports(*services: Any, proxy: Any = SERVER) -> set[int]:
        found = listener(services=services, proxy=proxy).filter_chains
        return {c.filter_chain_match.destination_port.value for c in found} - {0, 15006}

    (mine, other) = API.endpoints
    assert ports(API) == {8080}
    assert ports(replace(API, endpoints=(other,))) == set()
    assert ports(replace(API, endpoints=(replace(mine, network="network-2"),))) == set()
    assert ports(replace(API, endpoints=(replace(mine, namespace="other"),))) == set()
    assert ports(replace(API, endpoints=(replace(mine, port=8081),))) == {8081}
    six = endpoint("fd31:1::21", 8080, "http", "api")
    both = replace(SERVER, addresses=("10.231.1.21", "fd31:1::21"))
    assert ports(replace(API, endpoints=(six,)), proxy=both) == {8080}


def test_services_that_share_a_port_make_one_chain() -> None:
    (mine, _) = API.endpoints
    again = service("z", "240.240.0.9", port("tcp", 81, Protocol.TCP, 8080), mine)
    again = replace(again, endpoints=(replace(mine, service_port="tcp"),))
    assert len(chains(STRICT, number=8080, services=(API, again))) == 1
