# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mesh_agent.relay.subscriptions import Reaction, Subscriptions
from mesh_core.wire import discovery as discovery_pb2
from mesh_core.wire import types

HERE, THERE = "one server", "another server"


def request(
    type_url: str,
    subscribe: Iterable[str] = (),
    *,
    unsubscribe: Iterable[str] = (),
    versions: Mapping[str, str] | None = None,
    nonce: str = "",
    error: str | None = None,
    node: str = "",
) -> Any:
    message = discovery_pb2.DeltaDiscoveryRequest(
        type_url=type_url,
        resource_names_subscribe=subscribe,
        resource_names_unsubscribe=unsubscribe,
        initial_resource_versions=versions,
        response_nonce=nonce,
    )
    if node:
        message.node.id = node
    if error is not None:
        message.error_detail.message = error
    return message


def response(
    type_url: str, nonce: str, resources: Mapping[str, str], removed: Iterable[str] = ()
) -> Any:
    message = discovery_pb2.DeltaDiscoveryResponse(
        type_url=type_url, nonce=nonce, removed_resources=removed
    )
    for name, version in resources.items():
        message.resources.add(name=name, version=version)
    return message


def accept(state: Subscriptions, type_url: str, resources: Mapping[str, str], nonce: str) -> None:
    state.response(response(type_url, nonce, resources), HERE)
    state.request(request(type_url, nonce=nonce))


def opening(state: Subscriptions, kept: Mapping[tuple[str, str], str]) -> list[Any]:
    return [
        (
            types.short(r.type_url),
            list(r.resource_names_subscribe),
            dict(r.initial_resource_versions),
            r.node.id,
        )
        for r in state.resume(kept)
    ]


def test_a_stream_is_resumed_as_envoy_would_in_the_order_that_it_needs() -> None:
    state = Subscriptions()
    state.request(request(types.LISTENER, node="me"))
    state.request(request(types.CLUSTER))
    state.request(request(types.ROUTE, ["80"]))
    state.request(request(types.ENDPOINT, ["b", "a"]))
    accept(state, types.CLUSTER, {"a": "1", "b": "2"}, "n1")
    accept(state, types.ENDPOINT, {"a": "7"}, "n2")
    kept = {(types.CLUSTER, "a"): "1", (types.CLUSTER, "b"): "2", (types.ENDPOINT, "a"): "7"}
    assert opening(state, kept) == [
        ("Cluster", [], {"a": "1", "b": "2"}, "me"),
        ("ClusterLoadAssignment", ["a", "b"], {"a": "7"}, ""),
        ("Listener", [], {}, ""),
        ("RouteConfiguration", ["80"], {}, ""),
    ]


def test_what_is_not_kept_in_that_version_is_asked_for_again() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER, versions={"a": "1", "b": "2"}))
    ((_, _, versions, _),) = opening(state, {(types.CLUSTER, "a"): "1", (types.CLUSTER, "b"): "1"})
    assert versions == {"a": "1", "b": "unknown"}


def test_what_is_on_its_way_is_claimed_so_that_it_can_be_removed() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER))
    state.response(response(types.CLUSTER, "n", {"a": "1"}), HERE)
    ((_, _, versions, _),) = opening(state, {(types.CLUSTER, "a"): "1"})
    assert versions == {"a": "unknown"}


def test_a_type_without_names_left_is_not_resumed_as_a_wildcard() -> None:
    state = Subscriptions()
    state.request(request(types.ENDPOINT, ["a"]))
    state.request(request(types.ENDPOINT, unsubscribe=["a"]))
    assert opening(state, {}) == []


def test_names_beside_a_wildcard_need_the_star() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER))
    state.request(request(types.CLUSTER, ["odcds"]))
    ((_, names, _, _),) = opening(state, {})
    assert names == ["*", "odcds"]


def test_an_update_counts_when_it_is_accepted() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER))
    state.response(response(types.CLUSTER, "n1", {"a": "1", "b": "1"}), HERE)
    subscription = state.get(types.CLUSTER)
    assert subscription is not None
    assert subscription.versions == {}
    reaction = state.request(request(types.CLUSTER, nonce="n1"))
    assert reaction.judged is not None
    assert reaction.judged.names == ("a", "b")
    assert reaction.refusal is None
    assert subscription.versions == {"a": "1", "b": "1"}
    state.response(response(types.CLUSTER, "n2", {"a": "2"}, ["b"]), HERE)
    refused = state.request(request(types.CLUSTER, nonce="n2", error="bad"))
    assert refused.refusal == "bad"
    assert subscription.versions == {"a": "1", "b": "1"}
    state.response(response(types.CLUSTER, "n3", {}, ["b"]), HERE)
    state.request(request(types.CLUSTER, nonce="n3"))
    assert subscription.versions == {"a": "1"}


def test_equal_nonces_of_two_servers_are_judged_in_the_order_of_arrival() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER))
    state.response(response(types.CLUSTER, "1", {"a": "old"}), HERE)
    state.response(response(types.CLUSTER, "1", {"a": "new"}), THERE)
    first = state.request(request(types.CLUSTER, nonce="1")).judged
    second = state.request(request(types.CLUSTER, nonce="1")).judged
    assert first is not None
    assert second is not None
    assert (first.origin, second.origin) == (HERE, THERE)


def test_a_nonce_that_nobody_sent_judges_nothing() -> None:
    state = Subscriptions()
    state.request(request(types.CLUSTER))
    state.response(response(types.CLUSTER, "1", {"a": "1"}), HERE)
    assert state.request(request(types.CLUSTER, nonce="2")).judged is None
    assert state.request(request(types.CLUSTER)).judged is None


def test_names_that_do_not_exist_are_remembered_until_they_do() -> None:
    state = Subscriptions()
    state.request(request(types.ENDPOINT, ["a"]))
    state.response(response(types.ENDPOINT, "1", {}, ["a"]), HERE)
    state.request(request(types.ENDPOINT, nonce="1"))
    subscription = state.get(types.ENDPOINT)
    assert subscription is not None
    assert subscription.absent == {"a"}
    accept(state, types.ENDPOINT, {"a": "1"}, "2")
    assert subscription.absent == set()


def test_what_is_asked_for_again_is_not_claimed() -> None:
    state = Subscriptions()
    state.request(request(types.ENDPOINT, ["a", "b"]))
    accept(state, types.ENDPOINT, {"a": "1"}, "1")
    state.request(request(types.ENDPOINT, ["a"]))
    ((_, names, versions, _),) = opening(state, {(types.ENDPOINT, "a"): "1"})
    assert (names, versions) == (["a", "b"], {})


def test_an_update_without_the_refused_part() -> None:
    state = Subscriptions()
    state.request(request(types.LISTENER))
    state.response(response(types.LISTENER, "1", {"good": "1", "bad": "1"}, ["old"]), HERE)
    update = state.request(request(types.LISTENER, nonce="1", error="bad: no")).judged
    assert update is not None
    rest = update.without(["bad"])
    assert rest.names == ("good", "old")
    state.take(rest)
    subscription = state.get(types.LISTENER)
    assert subscription is not None
    assert subscription.versions == {"good": "1"}
    assert subscription.accepted


def test_a_type_that_envoy_did_not_ask_for_is_not_asked_for() -> None:
    state = Subscriptions()
    state.response(response(types.ENDPOINT, "1", {"a": "1"}), HERE)
    assert state.get(types.ENDPOINT) is None
    assert list(state) == []
    first: Reaction = state.request(request(types.ENDPOINT, ["a"]))
    assert first.first
    assert not state.request(request(types.ENDPOINT, ["b"])).first
