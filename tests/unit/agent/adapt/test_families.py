# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_pb2

from mesh_agent.adapt.abilities import Workload
from mesh_agent.adapt.adapter import Adapter
from mesh_core.wire import types
from tests.unit.agent.adapt.conftest import ISTIOS, STOCK, WORKLOAD, Recorded

DUAL = replace(WORKLOAD, has_ipv6=True)


def address(text: str, port: int) -> address_pb2.Address:
    return address_pb2.Address(socket_address={"address": text, "port_value": port})


def listens(adapter: Adapter, *addresses: tuple[str, int]) -> list[tuple[str, int]]:
    first, *others = (address(*each) for each in addresses)
    listener = listener_pb2.Listener(name="l", address=first)
    for other in others:
        listener.additional_addresses.add(address=other)
    body = adapter.resource(types.LISTENER, listener.SerializeToString())
    found = listener_pb2.Listener.FromString(body)
    sockets = [found.address, *(each.address for each in found.additional_addresses)]
    return [(each.socket_address.address, each.socket_address.port_value) for each in sockets]


@pytest.mark.parametrize("port", [15001, 15006])
def test_what_takes_captured_calls_takes_them_in_both_families(port: int) -> None:
    both = [("0.0.0.0", port), ("::", port)]
    assert listens(Adapter(STOCK, DUAL), both[0]) == both
    assert listens(Adapter(STOCK, WORKLOAD), both[0]) == [both[0]]


def test_a_control_plane_that_has_both_families_keeps_its_word() -> None:
    adapter = Adapter(STOCK, DUAL)
    for port in (15001, 15006):
        given = [("0.0.0.0", port), ("::", port)]
        assert listens(adapter, *given) == given
        assert listens(adapter, ("::", port)) == [("::", port)]


@pytest.mark.parametrize("one", [("0.0.0.0", 80), ("10.96.0.10", 15001), ("127.0.0.1", 15006)])
def test_other_listeners_stay_in_their_family(one: tuple[str, int]) -> None:
    assert listens(Adapter(STOCK, DUAL), one) == [one]


def test_the_application_is_called_in_the_family_of_the_call() -> None:
    cluster = cluster_pb2.Cluster(name="InboundPassthroughCluster")
    cluster.upstream_bind_config.source_address.address = "127.0.0.6"
    cluster.upstream_bind_config.source_address.port_value = 0
    adapter = Adapter(STOCK, DUAL)
    body = adapter.resource(types.CLUSTER, cluster.SerializeToString())
    bind = cluster_pb2.Cluster.FromString(body).upstream_bind_config
    assert bind.source_address.address == "127.0.0.6"
    (extra,) = bind.extra_source_addresses
    assert extra.address.address == "::6"
    for each in (bind.source_address, extra.address):
        assert each.WhichOneof("port_specifier") == "port_value"
    again = adapter.resource(types.CLUSTER, body)
    assert cluster_pb2.Cluster.FromString(again).upstream_bind_config == bind
    body = Adapter(STOCK, WORKLOAD).resource(types.CLUSTER, cluster.SerializeToString())
    assert not cluster_pb2.Cluster.FromString(body).upstream_bind_config.extra_source_addresses


def test_istios_own_proxy_gets_this_and_nothing_else(recorded: Recorded) -> None:
    adapter = Adapter(ISTIOS, Workload(has_ipv6=True))
    assert adapter.active
    changed = 0
    response = recorded("sidecar-Listener")
    for each in response.resources:
        before = listener_pb2.Listener.FromString(each.resource.value)
        after = listener_pb2.Listener.FromString(
            adapter.resource(types.LISTENER, each.resource.value)
        )
        changed += before != after
        after.ClearField("additional_addresses")
        assert after == before
    assert changed == 2
