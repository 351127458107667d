# SPDX-License-Identifier: Apache-2.0
"""Clusters: names, where endpoints come from, TLS, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from google.protobuf import json_format

from mesh_control.model import Protocol, Resolution, Service
from tests.unit.control.translate.builders import (
    API,
    AUTO_PASSTHROUGH,
    CLIENT,
    DB,
    SERVER,
    SUBSETS,
    decoded,
    document,
    port,
    router,
    service,
    snapshot,
    spiffe,
    unpacked,
)

HOST = API.host
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def rule(spec: dict[str, Any], **more: Any) -> Any:
    return document("DestinationRule", {"host": "api", **spec}, **more)


def tls_of(socket: Any) -> Any:
    return unpacked(socket.typed_config, tls_pb2.UpstreamTlsContext)


def speaking(protocol: Protocol) -> Service:
    return replace(API, ports=(port("http", 80, protocol, 8080),))


def test_names_are_istios() -> None:
    assert set(decoded(snapshot(SUBSETS), SERVER).clusters) == {
        "outbound|80||api.shop.svc.cluster.local",
        "outbound|80|v1|api.shop.svc.cluster.local",
        "outbound|80|v2|api.shop.svc.cluster.local",
        "outbound|80||web.shop.svc.cluster.local",
        "outbound|5432||db.shop.svc.cluster.local",
        "inbound|8080||",
        "PassthroughCluster",
        "BlackHoleCluster",
        "InboundPassthroughCluster",
    }


def test_endpoints_come_by_ads_and_are_waited_for() -> None:
    cluster = decoded(snapshot(), CLIENT).clusters[f"outbound|80||{HOST}"]
    assert cluster.type == cluster_pb2.Cluster.EDS
    assert cluster.eds_cluster_config.service_name == cluster.name
    source = cluster.eds_cluster_config.eds_config
    assert source.HasField("ads")
    assert source.HasField("initial_fetch_timeout")
    assert source.initial_fetch_timeout.ToSeconds() == 0


def test_mutual_tls_is_chosen_by_the_endpoint() -> None:
    cluster = decoded(snapshot(SUBSETS), CLIENT).clusters[f"outbound|80|v1|{HOST}"]
    mutual, plain = cluster.transport_socket_matches
    assert json_format.MessageToDict(mutual.match) == {"tlsMode": "istio"}
    context = tls_of(mutual.transport_socket)
    assert context.sni == f"outbound_.80_.v1_.{HOST}"
    common = context.common_tls_context
    (certificate,) = common.tls_certificate_sds_secret_configs
    assert certificate.name == "default"
    api_source = certificate.sds_config.api_config_source
    assert api_source.grpc_services[0].envoy_grpc.cluster_name == "sds-grpc"
    assert api_source.set_node_on_first_message_only
    validation = common.combined_validation_context
    assert validation.validation_context_sds_secret_config.name == "ROOTCA"
    (san,) = validation.default_validation_context.match_typed_subject_alt_names
    assert san.matcher.exact == spiffe("api")
    assert not plain.match.fields
    unpacked(plain.transport_socket.typed_config, raw_buffer_pb2.RawBuffer)


@pytest.mark.parametrize(
    ("protocol", "alpn"),
    [
        (Protocol.HTTP, ["istio-http/1.1", "istio", "http/1.1"]),
        (Protocol.HTTP2, ["istio-h2", "istio", "h2"]),
        (Protocol.GRPC, ["istio-h2", "istio", "h2"]),
        (Protocol.TCP, ["istio"]),
        (Protocol.AUTO, ["istio"]),
    ],
)
def test_what_a_client_offers_tells_the_server_the_protocol(
    protocol: Protocol, alpn: list[str]
) -> None:
    cluster = decoded(snapshot(services=(speaking(protocol),)), CLIENT).clusters[
        f"outbound|80||{HOST}"
    ]
    context = tls_of(cluster.transport_socket_matches[0].transport_socket)
    assert list(context.common_tls_context.alpn_protocols) == alpn


@pytest.mark.parametrize("protocol", [Protocol.HTTP2, Protocol.GRPC])
def test_http2_is_spoken_where_the_port_says_so(protocol: Protocol) -> None:
    clusters = decoded(snapshot(services=(speaking(protocol),)), SERVER).clusters
    for name in (f"outbound|80||{HOST}", "inbound|8080||"):
        options = unpacked(
            clusters[name].typed_extension_protocol_options[HTTP_OPTIONS],
            http_protocol_options_pb2.HttpProtocolOptions,
        )
        assert options.explicit_http_config.HasField("http2_protocol_options")


def test_a_rule_can_switch_tls_off_or_make_it_a_must() -> None:
    off = rule({"trafficPolicy": {"tls": {"mode": "DISABLE"}}})
    cluster = decoded(snapshot(off), CLIENT).clusters[f"outbound|80||{HOST}"]
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")
    tls = {"mode": "ISTIO_MUTUAL", "sni": "a.b", "subjectAltNames": ["spiffe://other"]}
    must = rule({"trafficPolicy": {"tls": tls}})
    cluster = decoded(snapshot(must), CLIENT).clusters[f"outbound|80||{HOST}"]
    assert not cluster.transport_socket_matches
    context = tls_of(cluster.transport_socket)
    assert context.sni == "a.b"
    validation = context.common_tls_context.combined_validation_context
    (san,) = validation.default_validation_context.match_typed_subject_alt_names
    assert san.matcher.exact == "spiffe://other"


def test_a_service_outside_the_mesh_is_called_in_plaintext() -> None:
    outside = replace(API, external=True)
    cluster = decoded(snapshot(services=(outside,)), CLIENT).clusters[f"outbound|80||{HOST}"]
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")


def test_limits_are_lifted_unless_given() -> None:
    cluster = decoded(snapshot(), CLIENT).clusters[f"outbound|80||{HOST}"]
    (limits,) = cluster.circuit_breakers.thresholds
    assert limits.max_connections.value == limits.max_requests.value == 2**32 - 1
    pool = {"tcp": {"maxConnections": 7, "connectTimeout": "1500ms"}}
    given = rule({"trafficPolicy": {"connectionPool": pool}})
    cluster = decoded(snapshot(given), CLIENT).clusters[f"outbound|80||{HOST}"]
    (limits,) = cluster.circuit_breakers.thresholds
    assert (limits.max_connections.value, limits.max_retries.value) == (7, 2**32 - 1)
    assert cluster.connect_timeout.ToMilliseconds() == 1500


def test_a_ports_settings_replace_the_rules_and_a_subsets_override_by_block() -> None:
    spec = {
        "trafficPolicy": {
            "loadBalancer": {"simple": "RANDOM"},
            "connectionPool": {"tcp": {"maxConnections": 7}},
        },
        "subsets": [
            {"name": "block", "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}},
            {
                "name": "port",
                "trafficPolicy": {
                    "portLevelSettings": [
                        {"port": {"number": 80}, "loadBalancer": {"simple": "ROUND_ROBIN"}}
                    ]
                },
            },
        ],
    }
    clusters = decoded(snapshot(rule(spec)), CLIENT).clusters
    found = {
        subset: (
            clusters[f"outbound|80|{subset}|{HOST}"].lb_policy,
            clusters[f"outbound|80|{subset}|{HOST}"]
            .circuit_breakers.thresholds[0]
            .max_connections.value,
        )
        for subset in ("", "block", "port")
    }
    policies = cluster_pb2.Cluster
    assert found == {
        "": (policies.RANDOM, 7),
        "block": (policies.ROUND_ROBIN, 7),
        "port": (policies.ROUND_ROBIN, 2**32 - 1),
    }


def test_the_default_balances_by_outstanding_requests() -> None:
    cluster = decoded(snapshot(), CLIENT).clusters[f"outbound|80||{HOST}"]
    assert cluster.lb_policy == cluster_pb2.Cluster.LEAST_REQUEST


def test_ejection_enforces_what_is_given_and_never_panics() -> None:
    spec = {"trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3, "interval": "2s"}}}
    cluster = decoded(snapshot(rule(spec)), CLIENT).clusters[f"outbound|80||{HOST}"]
    outlier = cluster.outlier_detection
    assert outlier.consecutive_5xx.value == 3
    assert outlier.enforcing_consecutive_5xx.value == 100
    assert outlier.enforcing_success_rate.value == 0
    assert outlier.interval.ToSeconds() == 2
    assert cluster.common_lb_config.HasField("healthy_panic_threshold")


def test_the_clients_rule_comes_before_the_services_and_the_meshs() -> None:
    def limited(namespace: str, limit: int) -> Any:
        pool = {"tcp": {"maxConnections": limit}}
        spec = {"host": HOST, "trafficPolicy": {"connectionPool": pool}}
        return document("DestinationRule", spec, namespace=namespace)

    def limit(*rules: Any) -> int:
        client = replace(CLIENT, namespace="front", domain="front.svc.cluster.local")
        cluster = decoded(snapshot(*rules), client).clusters[f"outbound|80||{HOST}"]
        return int(cluster.circuit_breakers.thresholds[0].max_connections.value)

    mesh, own, clients = limited("istio-system", 1), limited("shop", 2), limited("front", 3)
    assert limit(mesh, own, clients) == 3
    assert limit(mesh, own) == 2
    assert limit(mesh) == 1
    assert limit(limited("elsewhere", 4)) == 2**32 - 1


def test_rules_for_one_host_are_merged_the_oldest_policy_counting() -> None:
    def made(name: str, limit: int, subset: str, created: int) -> Any:
        pool = {"tcp": {"maxConnections": limit}}
        spec = {"trafficPolicy": {"connectionPool": pool}, "subsets": [{"name": subset}]}
        return rule(spec, name=name, created=created)

    clusters = decoded(snapshot(made("b", 2, "y", 2), made("a", 1, "x", 1)), CLIENT).clusters
    for subset in ("x", "y"):
        cluster = clusters[f"outbound|80|{subset}|{HOST}"]
        assert cluster.circuit_breakers.thresholds[0].max_connections.value == 1


def test_the_workloads_own_port_is_called_where_the_client_meant() -> None:
    cluster = decoded(snapshot(), SERVER).clusters["inbound|8080||"]
    assert cluster.type == cluster_pb2.Cluster.ORIGINAL_DST
    assert cluster.upstream_bind_config.source_address.address == "127.0.0.6"
    assert not cluster.upstream_bind_config.extra_source_addresses


def test_a_workload_with_both_families_is_called_in_either() -> None:
    both = replace(SERVER, addresses=("10.231.1.21", "fd31:1::21"))
    clusters = decoded(snapshot(), both).clusters
    for name in ("inbound|8080||", "InboundPassthroughCluster"):
        (extra,) = clusters[name].upstream_bind_config.extra_source_addresses
        assert extra.address.address == "::6"
    only = replace(SERVER, addresses=("fd31:1::21",))
    bind = decoded(snapshot(), only).clusters["InboundPassthroughCluster"].upstream_bind_config
    assert bind.source_address.address == "::6"


def test_a_name_is_resolved_by_the_client_in_its_families() -> None:
    bank = replace(
        service("bank", "240.240.0.9", port("https", 443, Protocol.HTTPS)),
        host="bank.example.com",
        resolution=Resolution.DNS,
        external=True,
    )
    mesh = snapshot(services=(bank,))
    resources = decoded(mesh, CLIENT)
    cluster = resources.clusters["outbound|443||bank.example.com"]
    dns = unpacked(cluster.cluster_type.typed_config, dns_cluster_pb2.DnsCluster)
    assert dns.dns_lookup_family == 2  # IPv4 only
    (locality,) = cluster.load_assignment.endpoints
    address = locality.lb_endpoints[0].endpoint.address.socket_address
    assert (address.address, address.port_value) == ("bank.example.com", 443)
    assert resources.endpoints == {}


def test_a_gateway_has_clusters_by_server_name_without_tls() -> None:
    clusters = decoded(snapshot(SUBSETS, AUTO_PASSTHROUGH), router("network-1")).clusters
    cluster = clusters[f"outbound_.80_.v1_.{HOST}"]
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")
    assert f"outbound_.5432_._.{DB.host}" in clusters
    assert not [name for name in clusters if name.startswith(("outbound|", "inbound|"))]
