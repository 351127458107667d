# SPDX-License-Identifier: Apache-2.0
"""Who tells whom; how the caller's words are read is tried with Envoy, tests/wire/agent."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as manager_pb2,
)
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from google.protobuf import any_pb2, json_format
from google.protobuf.struct_pb2 import Struct
from udpa.type.v1 import typed_struct_pb2

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Abilities
from mesh_agent.adapt.adapter import Adapter
from mesh_agent.adapt.exchange import CALLER, HEADERS
from mesh_agent.adapt.views import StatsLog
from mesh_core.wire import types
from tests.unit.agent.adapt.conftest import STOCK, WORKLOAD

HEADERS_METHOD: dict[str, Any] = {"istio_headers": {}}
# As istiod has them.
INBOUND = {
    "downstream_discovery": [HEADERS_METHOD, {"workload_discovery": {}}],
    "downstream_propagation": [HEADERS_METHOD],
}
OUTBOUND = {
    "upstream_discovery": [HEADERS_METHOD, {"workload_discovery": {}}],
    "upstream_propagation": [{"istio_headers": {"skip_external_clusters": True}}],
}
HOST = replace(
    WORKLOAD,
    version="v1",
    instance="api-1",
    node_id="sidecar~10.0.0.1~api-1.shop~it's",
    labels={"role": "db", "other": "x"},
)


def manager(config: dict[str, Any], abilities: Abilities = STOCK, **options: Any) -> Any:
    """The HTTP connection manager that had Istio's filter with this configuration."""
    struct = typed_struct_pb2.TypedStruct(type_url=f"type.googleapis.com/{words.HTTP_EXCHANGE}")
    struct.value.update(config)
    packed = any_pb2.Any()
    packed.Pack(struct)
    before = manager_pb2.HttpConnectionManager(stat_prefix="x")
    before.http_filters.add(name="istio.metadata_exchange", typed_config=packed)
    listener = listener_pb2.Listener(name="l", **options)
    listener.filter_chains.add().filters.add(name="http").typed_config.Pack(before)
    body = Adapter(abilities, HOST).resource(types.LISTENER, listener.SerializeToString())
    after = manager_pb2.HttpConnectionManager()
    found = listener_pb2.Listener.FromString(body)
    found.filter_chains[0].filters[0].typed_config.Unpack(after)
    return after


def code(config: dict[str, Any]) -> str:
    (one,) = manager(config).http_filters
    lua = lua_pb2.Lua()
    assert one.typed_config.Unpack(lua)
    assert lua.HasField("clear_route_cache")
    assert not lua.clear_route_cache.value
    return str(lua.default_source_code.inline_string)


def mutations(config: dict[str, Any]) -> Any:
    (one,) = manager(config).http_filters
    found = header_mutation_pb2.HeaderMutation()
    assert one.typed_config.Unpack(found)
    return found.mutations


def said(text: str) -> dict[str, Any]:
    """The metadata in a filter's configuration."""
    (found,) = re.findall(r"[\w+/=]{80,}", text)
    struct = Struct.FromString(base64.b64decode(found))
    return dict(json_format.MessageToDict(struct))


def test_callers_are_asked_and_answered() -> None:
    text = code(INBOUND)
    assert "envoy_on_request" in text
    assert "envoy_on_response" in text
    assert said(text) == {
        "NAME": "api-1",
        "NAMESPACE": "shop",
        "WORKLOAD_NAME": "api",
        "CLUSTER_ID": "cluster1",
        "LABELS": {
            "service.istio.io/canonical-name": "api",
            "service.istio.io/canonical-revision": "v1",
            "app": "api",
            "version": "v1",
        },
    }


def test_nobody_is_answered_where_istiod_wants_no_answer() -> None:
    assert "envoy_on_response" not in code({"downstream_discovery": [HEADERS_METHOD]})


def test_labels_that_istiod_names_are_told_too() -> None:
    found = said(code({**INBOUND, "additional_labels": ["role", "absent"]}))
    assert found["LABELS"]["role"] == "db"
    assert not {"other", "absent"} & found["LABELS"].keys()


def test_who_is_called_is_told_in_the_mesh_only_and_its_answer_is_hidden() -> None:
    found = mutations(OUTBOUND)
    assert [each.remove for each in found.request_mutations[:2]] == list(HEADERS)
    assert [each.remove for each in found.response_mutations] == list(HEADERS)
    told = [each.append for each in found.request_mutations[2:]]
    assert [each.header.key for each in told] == list(HEADERS)
    for each in told:
        assert re.fullmatch(r"%CEL\(xds\..*\.exchange \? '[^']+' : ''\)%", each.header.value)
    assert "sidecar~10.0.0.1~api-1.shop~it_s" in told[0].header.value
    assert said(told[1].header.value)["WORKLOAD_NAME"] == "api"


def test_nobody_is_told_where_istiod_wants_none_told() -> None:
    found = mutations({"upstream_discovery": [HEADERS_METHOD]})
    assert all(each.remove for each in found.request_mutations)


@pytest.mark.parametrize("config", [{}, {"downstream_discovery": [{"workload_discovery": {}}]}])
def test_other_ways_of_finding_out_are_not_there(config: dict[str, Any]) -> None:
    assert not manager(config).http_filters


def test_an_envoy_without_the_filters_does_without() -> None:
    few = Abilities(STOCK.names, STOCK.types - {words.LUA, words.HEADER_MUTATION})
    assert not manager(INBOUND, few).http_filters
    assert not manager(OUTBOUND, few).http_filters


def test_the_caller_is_a_label_where_callers_are_asked() -> None:
    for config, expected in ((INBOUND, True), ({}, False)):
        (log,) = manager(config, traffic_direction="INBOUND").access_log
        (counter,) = StatsLog.FromString(log.typed_config.value).counters
        found = {tag.name: tag.value_format for tag in counter.stat.tags}
        assert (found.get("source_peer") == CALLER) is expected


@pytest.mark.parametrize(
    ("alpn", "metadata", "expected"),
    [
        (["istio-peer-exchange", "istio"], {}, True),
        (["istio"], {"alpn_override": "false"}, True),
        (["istio"], {"external": True}, False),
        (["istio"], {"disable_mx": True}, False),
        (["h2"], {}, False),
        ([], {}, False),
    ],
)
def test_a_cluster_says_whether_it_is_told(
    alpn: list[str], metadata: dict[str, Any], expected: bool
) -> None:
    cluster = cluster_pb2.Cluster(name="c")
    cluster.metadata.filter_metadata["istio"].update(metadata)
    tls = tls_pb2.UpstreamTlsContext(common_tls_context={"alpn_protocols": alpn})
    cluster.transport_socket_matches.add().transport_socket.typed_config.Pack(tls)
    body = Adapter(STOCK, HOST).resource(types.CLUSTER, cluster.SerializeToString())
    found = cluster_pb2.Cluster.FromString(body).metadata.filter_metadata[words.METADATA]
    assert ("exchange" in found) is expected
