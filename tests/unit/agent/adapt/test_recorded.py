# SPDX-License-Identifier: Apache-2.0
"""What a real istiod sent, fitted: read with Envoy's full messages, nothing else is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as manager_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from udpa.type.v1 import typed_struct_pb2

from mesh_agent.adapt import words
from mesh_agent.adapt.adapter import Adapter
from mesh_agent.adapt.metrics import LOGGER
from mesh_core import proof
from tests.unit.agent.adapt.conftest import CASES, GATEWAY, ISTIOS, STOCK, Recorded

FULL: dict[str, Any] = {
    "Listener": listener_pb2.Listener,
    "Cluster": cluster_pb2.Cluster,
}
STAND_INS = {words.FILTER_STATE, words.LUA, words.HEADER_MUTATION}
PACKED: dict[str, Any] = {
    words.HTTP_MANAGER: manager_pb2.HttpConnectionManager,
    words.TCP_PROXY: tcp_proxy_pb2.TcpProxy,
    words.UPSTREAM_TLS: tls_pb2.UpstreamTlsContext,
    words.DOWNSTREAM_TLS: tls_pb2.DownstreamTlsContext,
}


def adapter_for(case: str, stock: Adapter) -> Adapter:
    return Adapter(STOCK, GATEWAY) if case.startswith("gateway") else stock


def kind_of(config: Any) -> str:
    if config.type_url.endswith("udpa.type.v1.TypedStruct"):
        struct = typed_struct_pb2.TypedStruct.FromString(config.value)
        return str(struct.type_url).rpartition("/")[2]
    return str(config.type_url).rpartition("/")[2]


def without_istios(filters: Any) -> None:
    """Drop what Envoy lacks, and what stands in for it: not what is compared."""
    kept = [each for each in filters if kind_of(each.typed_config) not in words.ISTIOS | STAND_INS]
    kept = [type(each).FromString(each.SerializeToString()) for each in kept]
    del filters[:]
    filters.extend(kept)


def plain_logs(logs: Any) -> None:
    kept = []
    for log in logs:
        if log.name == LOGGER:
            continue
        kind = kind_of(log.typed_config)
        if kind == words.FILE_LOG:
            file = file_pb2.FileAccessLog.FromString(log.typed_config.value)
            if file.path == proof.FILE:
                continue
            if file.path == "/dev/stdout":
                log.name = "envoy.access_loggers.stdout"
                log.typed_config.Pack(stream_pb2.StdoutAccessLog(log_format=file.log_format))
        log.ClearField("filter")
        kept.append(type(log).FromString(log.SerializeToString()))
    del logs[:]
    logs.extend(kept)


def unpacked(config: Any) -> Any:
    found = PACKED[kind_of(config)].FromString(config.value)
    if hasattr(found, "access_log"):
        plain_logs(found.access_log)
    if hasattr(found, "http_filters"):
        without_istios(found.http_filters)
    if hasattr(found, "access_log_options"):
        found.ClearField("access_log_options")
    if hasattr(found, "common_tls_context"):
        protocols = found.common_tls_context.alpn_protocols
        if words.PEER_EXCHANGE in protocols:
            protocols.remove(words.PEER_EXCHANGE)
    return found


def compared(kind: str, body: bytes) -> tuple[Any, list[Any]]:
    """The resource without what may differ, and the messages that were packed in it."""
    resource = FULL[kind].FromString(body)
    inner = []
    for config in configs(resource):
        if kind_of(config) in PACKED:
            inner.append(unpacked(config))
            config.value = b""
    if kind == "Cluster":
        resource.metadata.filter_metadata.pop(words.METADATA, None)
        if not resource.metadata.filter_metadata:
            resource.ClearField("metadata")
    return resource, inner


def configs(resource: Any) -> Iterator[Any]:
    if isinstance(resource, cluster_pb2.Cluster):
        without_istios(resource.filters)
        for match in resource.transport_socket_matches:
            yield match.transport_socket.typed_config
        if resource.HasField("transport_socket"):
            yield resource.transport_socket.typed_config
        return
    plain_logs(resource.access_log)
    chains = list(resource.filter_chains)
    if resource.HasField("default_filter_chain"):
        chains.append(resource.default_filter_chain)
    for chain in chains:
        without_istios(chain.filters)
        for each in chain.filters:
            yield each.typed_config
        if chain.HasField("transport_socket"):
            yield chain.transport_socket.typed_config


@pytest.mark.parametrize("case", CASES)
def test_nothing_but_what_envoy_lacks_is_changed(
    case: str, recorded: Recorded, stock: Adapter
) -> None:
    response, adapter = recorded(case), adapter_for(case, stock)
    kind = case.partition("-")[2]
    assert len(response.resources) > 0
    for each in response.resources:
        body = each.resource.value
        fitted = adapter.resource(response.type_url, body)
        assert compared(kind, fitted) == compared(kind, body), each.name


@pytest.mark.parametrize("case", CASES)
def test_what_envoy_lacks_is_gone(case: str, recorded: Recorded, stock: Adapter) -> None:
    response, adapter = recorded(case), adapter_for(case, stock)
    before = b"".join(each.resource.value for each in response.resources)
    assert any(kind.encode() in before for kind in words.ISTIOS)
    for each in response.resources:
        fitted = adapter.resource(response.type_url, each.resource.value)
        assert not [kind for kind in words.ISTIOS if kind.encode() in fitted]
        assert words.PEER_EXCHANGE.encode() not in _contexts(case, fitted)
        assert b"/dev/stdout" not in fitted


def _contexts(case: str, body: bytes) -> bytes:
    resource = FULL[case.partition("-")[2]].FromString(body)
    kinds = (words.UPSTREAM_TLS, words.DOWNSTREAM_TLS)
    return b"".join(each.value for each in configs(resource) if kind_of(each) in kinds)


@pytest.mark.parametrize("case", CASES)
def test_a_second_time_changes_nothing(case: str, recorded: Recorded, stock: Adapter) -> None:
    response, adapter = recorded(case), adapter_for(case, stock)
    for each in response.resources:
        once = adapter.resource(response.type_url, each.resource.value)
        assert adapter.resource(response.type_url, once) == once


@pytest.mark.parametrize("case", CASES)
def test_istios_own_proxy_gets_the_bytes_as_they_came(case: str, recorded: Recorded) -> None:
    response = recorded(case)
    adapter = Adapter(ISTIOS, GATEWAY)
    assert not adapter.active
    for each in response.resources:
        body = each.resource.value
        assert adapter.resource(response.type_url, body) is body


@pytest.mark.parametrize("case", CASES)
def test_it_takes_less_than_a_millisecond_a_resource(
    case: str, recorded: Recorded, stock: Adapter
) -> None:
    response, adapter = recorded(case), adapter_for(case, stock)
    for each in response.resources:
        took = []
        for _ in range(20):
            began = time.perf_counter()
            adapter.resource(response.type_url, each.resource.value)
            took.append(time.perf_counter() - began)
        assert min(took) < 0.001, each.name
