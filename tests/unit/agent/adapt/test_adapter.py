# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as manager_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as options_pb2
from google.protobuf import any_pb2, json_format
from xds.type.v3 import typed_struct_pb2

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import HAS_IPV6, Abilities, Workload
from mesh_agent.adapt.adapter import Adapter
from mesh_agent.adapt.metrics import LOGGER
from mesh_agent.adapt.views import PluginConfig, StatsLog
from mesh_core import proof
from mesh_core.wire import types
from tests.unit.agent.adapt.conftest import GATEWAY, STOCK, WORKLOAD

HTTP1, HTTP2 = "istio-http/1.1,istio,http/1.1", "istio-h2,istio,h2"
BOTH = {"HTTP/1.0": "istio-http/1.0,istio,http/1.0", "HTTP/1.1": HTTP1, "HTTP/2": HTTP2}


def listener(*, direction: str = "OUTBOUND", filters: Any = (), logs: Any = ()) -> Any:
    """A listener with an HTTP chain and a TCP one behind it."""
    manager = manager_pb2.HttpConnectionManager(stat_prefix="x", access_log=logs)
    for name, config in filters:
        manager.http_filters.add(name=name).typed_config.CopyFrom(config)
    found = listener_pb2.Listener(name="l", traffic_direction=direction)
    chain = found.filter_chains.add().filters.add(name="http")
    chain.typed_config.Pack(manager)
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix="x", cluster="c", access_log=logs)
    found.default_filter_chain.filters.add(name="tcp").typed_config.Pack(proxy)
    return found


def istios(kind: str, value: bytes = b"") -> Any:
    return any_pb2.Any(type_url=f"type.googleapis.com/{kind}", value=value)


def fitted(adapter: Adapter, found: Any) -> tuple[Any, Any]:
    """The HTTP connection manager and the TCP proxy after the adapter."""
    result = listener_pb2.Listener.FromString(
        adapter.resource(types.LISTENER, found.SerializeToString())
    )
    manager, proxy = manager_pb2.HttpConnectionManager(), tcp_proxy_pb2.TcpProxy()
    result.filter_chains[0].filters[0].typed_config.Unpack(manager)
    result.default_filter_chain.filters[0].typed_config.Unpack(proxy)
    return manager, proxy


def stats(log: Any) -> Any:
    return StatsLog.FromString(log.typed_config.value)


def counted(logs: Any) -> set[str]:
    return {
        each.stat.name
        for log in logs
        if log.name == LOGGER
        for each in (*stats(log).counters, *stats(log).histograms)
    }


def tags(logs: Any, name: str) -> dict[str, str]:
    (found,) = (
        {tag.name: tag.value_format for tag in counter.stat.tags}
        for log in logs
        if log.name == LOGGER
        for counter in stats(log).counters
        if counter.stat.name == name
    )
    return found


def cluster(alpn: list[str], **options: Any) -> Any:
    found = cluster_pb2.Cluster(name="outbound|80||api")
    tls = tls_pb2.UpstreamTlsContext(common_tls_context={"alpn_protocols": alpn})
    match = found.transport_socket_matches.add(name="m")
    match.transport_socket.typed_config.Pack(tls)
    if options:
        config = json_format.ParseDict(options, options_pb2.HttpProtocolOptions())
        found.typed_extension_protocol_options[words.HTTP_OPTIONS].Pack(config)
    return found


def metadata(adapter: Adapter, found: Any) -> dict[str, Any]:
    result = cluster_pb2.Cluster.FromString(
        adapter.resource(types.CLUSTER, found.SerializeToString())
    )
    return dict(json_format.MessageToDict(result.metadata.filter_metadata[words.METADATA]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, HTTP1),
        ({"explicit_http_config": {"http_protocol_options": {}}}, HTTP1),
        ({"explicit_http_config": {"http2_protocol_options": {}}}, HTTP2),
        (
            {
                "use_downstream_protocol_config": {
                    "http_protocol_options": {},
                    "http2_protocol_options": {},
                }
            },
            BOTH,
        ),
    ],
)
def test_a_cluster_says_what_it_speaks_upstream(
    stock: Adapter, options: Any, expected: str | dict[str, str]
) -> None:
    found = metadata(stock, cluster([words.PEER_EXCHANGE, "istio"], **options))
    wanted = expected if isinstance(expected, dict) else dict.fromkeys(BOTH, expected)
    assert found["alpn"] == wanted


def test_a_cluster_may_keep_its_own_protocols(stock: Adapter) -> None:
    opted_out = cluster(["istio"])
    opted_out.metadata.filter_metadata["istio"].update({"alpn_override": "false"})
    assert "alpn" not in metadata(stock, opted_out)
    assert "alpn" not in metadata(stock, cluster(["h2"]))


def test_a_cluster_says_whose_it_is(stock: Adapter) -> None:
    found = cluster(["istio"])
    assert metadata(stock, found)["services"] == ";outbound|80||api;"
    service = {"host": "api.shop.svc.cluster.local", "name": "api", "namespace": "shop"}
    found.metadata.filter_metadata["istio"].update({"services": [service]})
    assert metadata(stock, found)["services"] == "api.shop.svc.cluster.local;api;shop"


def test_the_alpn_filter_becomes_one_that_reads_the_cluster(stock: Adapter) -> None:
    manager, _ = fitted(stock, listener(filters=[("istio.alpn", istios(words.ALPN))]))
    (one,) = manager.http_filters
    state = set_filter_state_pb2.Config()
    assert one.typed_config.Unpack(state)
    (value,) = state.on_request_headers
    assert value.object_key == "envoy.network.application_protocols"
    assert value.shared_with_upstream == 1
    assert value.skip_if_empty
    assert ".alpn[request.protocol]" in value.format_string.text_format_source.inline_string


@pytest.mark.parametrize("wrapped", [False, True])
def test_metadata_exchange_is_taken_out_also_of_a_typed_struct(
    stock: Adapter, wrapped: bool
) -> None:
    config = istios(words.HTTP_EXCHANGE)
    if wrapped:
        struct = typed_struct_pb2.TypedStruct(type_url=config.type_url)
        config = any_pb2.Any()
        config.Pack(struct)
    other = istios("some.other.Filter", b"\x0a\x01x")
    manager, _ = fitted(stock, listener(filters=[("mx", config), ("other", other)]))
    assert [each.name for each in manager.http_filters] == ["other"]
    assert manager.http_filters[0].typed_config == other


def test_an_envoy_that_has_one_extension_keeps_it() -> None:
    abilities = Abilities(STOCK.names, STOCK.types | {words.ALPN})
    filters = [("istio.alpn", istios(words.ALPN)), ("istio.stats", istios(words.STATS))]
    manager, _ = fitted(Adapter(abilities, WORKLOAD), listener(filters=filters))
    assert [each.name for each in manager.http_filters] == ["istio.alpn"]
    assert "alpn" not in metadata(Adapter(abilities, WORKLOAD), cluster(["istio"]))


def test_an_envoy_that_says_nothing_of_itself_gets_all_as_it_came() -> None:
    adapter = Adapter(Abilities(frozenset(), frozenset()), WORKLOAD)
    body = listener(filters=[("istio.stats", istios(words.STATS))]).SerializeToString()
    assert adapter.resource(types.LISTENER, body) is body


def test_what_cannot_be_read_is_left_for_envoy_to_refuse(stock: Adapter) -> None:
    assert stock.resource(types.LISTENER, b"\xff\xff") == b"\xff\xff"
    assert stock.resource(types.ROUTE, b"any") == b"any"


@pytest.mark.parametrize("direction", ["OUTBOUND", "INBOUND"])
def test_standard_metrics_are_counted_also_when_istiod_asks_for_none(
    stock: Adapter, direction: str
) -> None:
    manager, proxy = fitted(stock, listener(direction=direction))
    assert counted(manager.access_log) == {
        "istio_requests_total",
        "istio_request_duration_milliseconds",
        "istio_request_bytes",
        "istio_response_bytes",
    }
    assert counted(proxy.access_log) == {
        "istio_tcp_connections_opened_total",
        "istio_tcp_connections_closed_total",
        "istio_tcp_sent_bytes_total",
        "istio_tcp_received_bytes_total",
    }
    found = tags(manager.access_log, "istio_requests_total")
    own = {"OUTBOUND": "source", "INBOUND": "destination"}[direction]
    assert found["reporter"] == own
    assert found[f"{own}_peer"] == "api;shop;api;v1;cluster1;api;100%%"


def test_what_telemetry_asks_for_in_vain_is_told_once(stock: Adapter) -> None:
    assert not stock.ignored
    config = PluginConfig()
    config.metrics.add(name="requests_total", dimensions={"peer": "upstream_peer.app"})
    filters = [("istio.stats", istios(words.STATS, config.SerializeToString()))]
    for direction in ("OUTBOUND", "INBOUND"):
        fitted(stock, listener(direction=direction, filters=filters))
    (told,) = stock.ignored
    assert told.startswith("label peer of metric requests_total: upstream_peer is known to")


def test_other_loggers_do_not_hear_of_a_connections_begin(stock: Adapter) -> None:
    other = accesslog_pb2.AccessLog(name="other")
    manager, proxy = fitted(stock, listener(direction="INBOUND", logs=[other]))
    assert manager.access_log[0] == other
    assert proxy.access_log_options.flush_access_log_on_connected
    kept = proxy.access_log[0].filter.log_type_filter
    assert (list(kept.types), kept.exclude) == ([1], True)


def test_the_proof_log_is_on_the_way_out_of_a_host_once(stock: Adapter) -> None:
    for direction, adapter, expected in (
        ("OUTBOUND", stock, 1),
        ("INBOUND", stock, 0),
        ("OUTBOUND", Adapter(STOCK, GATEWAY), 0),
    ):
        once = adapter.resource(types.LISTENER, listener(direction=direction).SerializeToString())
        twice = adapter.resource(types.LISTENER, once)
        assert twice.count(proof.FILE.encode()) == 2 * expected  # HTTP and TCP


def test_a_node_says_what_envoy_has_and_who_the_host_is() -> None:
    node = base_pb2.Node(id="router~10.0.0.1~gw.istio-system~istio-system.svc.cluster.local")
    node.extensions.add(name="a", type_urls=["some.Type"])
    node.extensions.add(name="b", type_urls=["other.Type"], disabled=True)
    node.metadata.update(
        {
            "NAME": "gw-1",
            "NAMESPACE": "istio-system",
            "LABELS": {"app": "gw"},
            "WORKLOAD_NAME": "gw",
            HAS_IPV6: True,
        }
    )
    abilities = Abilities.of(node)
    assert abilities.has("some.Type")
    assert abilities.has("", "a")
    assert not abilities.has("other.Type", "b")
    expected = Workload(
        kind="router",
        name="gw",
        namespace="istio-system",
        app="gw",
        instance="gw-1",
        node_id=node.id,
        labels={"app": "gw"},
        has_ipv6=True,
    )
    assert Workload.of(node) == expected
