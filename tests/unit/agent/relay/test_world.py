# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from mesh_agent.relay.world import World
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types


def asked(kind: str, *names: str, **more: Any) -> Any:
    return discovery_pb2.DeltaDiscoveryRequest(
        type_url=kind, resource_names_subscribe=names, **more
    )


def ack(kind: str, nonce: str, problem: str = "") -> Any:
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=kind, response_nonce=nonce)
    if problem:
        request.error_detail.message = problem
    return request


def clusters(version: str, **timeouts: int) -> Any:
    response = discovery_pb2.DiscoveryResponse(
        type_url=types.CLUSTER, version_info=version, nonce=version
    )
    for name, seconds in timeouts.items():
        message = cluster_pb2.Cluster(name=name, connect_timeout={"seconds": seconds})
        response.resources.add().Pack(message)
    return response


def given(response: Any) -> tuple[list[str], list[str]]:
    return [each.name for each in response.resources], list(response.removed_resources)


def test_the_first_request_has_the_node_and_asks_for_all() -> None:
    request = World().request(asked(types.CLUSTER, node={"id": "n"}))
    assert request == discovery_pb2.DiscoveryRequest(type_url=types.CLUSTER, node={"id": "n"})


def test_only_what_changed_and_what_is_gone_comes_back() -> None:
    world = World()
    world.request(asked(types.CLUSTER))
    assert given(world.response(clusters("1", a=1, b=1, c=1))) == (["a", "b", "c"], [])
    answer = world.request(ack(types.CLUSTER, "1"))
    assert (answer.version_info, answer.response_nonce) == ("1", "1")
    assert given(world.response(clusters("2", a=1, b=2))) == (["b"], ["c"])


def test_what_envoy_holds_from_elsewhere_is_removed_if_it_is_gone() -> None:
    world = World()
    world.request(asked(types.CLUSTER, initial_resource_versions={"old": "7", "a": "8"}))
    assert given(world.response(clusters("1", a=1))) == (["a"], ["old"])


def test_a_refusal_names_the_last_good_version_and_what_was_refused_comes_again() -> None:
    world = World()
    world.request(asked(types.CLUSTER))
    world.response(clusters("1", a=1))
    world.request(ack(types.CLUSTER, "1"))
    world.response(clusters("2", a=2))
    answer = world.request(ack(types.CLUSTER, "2", "bad"))
    assert (answer.version_info, answer.response_nonce) == ("1", "2")
    assert answer.error_detail.message == "bad"
    assert given(world.response(clusters("3", a=2))) == (["a"], [])


def test_names_are_whole_sets_and_wait_for_a_judgement() -> None:
    world = World()
    first = world.request(asked(types.ENDPOINT, "b", "a"))
    assert list(first.resource_names) == ["a", "b"]
    response = discovery_pb2.DiscoveryResponse(type_url=types.ENDPOINT, version_info="1", nonce="x")
    for name in ("a", "b"):
        response.resources.add().Pack(endpoint_pb2.ClusterLoadAssignment(cluster_name=name))
    assert given(world.response(response)) == (["a", "b"], [])
    # The server ignores requests that do not name its latest response.
    assert world.request(asked(types.ENDPOINT, "c")) is None
    answer = world.request(ack(types.ENDPOINT, "x"))
    assert list(answer.resource_names) == ["a", "b", "c"]
    later = asked(types.ENDPOINT, resource_names_unsubscribe=["b"])
    answer = world.request(later)
    assert list(answer.resource_names) == ["a", "c"]
    assert (answer.version_info, answer.response_nonce) == ("1", "x")


def test_endpoints_come_again_also_unchanged() -> None:
    """Envoy waits for them when their cluster changed."""
    world = World()
    world.request(asked(types.ENDPOINT, "a"))
    response = discovery_pb2.DiscoveryResponse(type_url=types.ENDPOINT, nonce="1")
    response.resources.add().Pack(endpoint_pb2.ClusterLoadAssignment(cluster_name="a"))
    world.response(response)
    world.request(ack(types.ENDPOINT, "1"))
    assert given(world.response(response)) == (["a"], [])


def test_health_and_names_pass() -> None:
    world = World()
    ill = ack(types.HEALTH_INFORMATION, "", "502")
    assert world.request(ill).error_detail.message == "502"
    assert not world.request(asked(types.HEALTH_INFORMATION)).HasField("error_detail")
    world.request(asked(types.NAME_TABLE))
    response = discovery_pb2.DiscoveryResponse(type_url=types.NAME_TABLE, nonce="n")
    response.resources.add(type_url=types.NAME_TABLE, value=b"\x0a\x00")
    (table,) = world.response(response).resources
    assert (table.name, table.resource.value) == ("", b"\x0a\x00")
