from __future__ import annotations

from collections.abc import Mapping

from mesh_control.ads.resources import Pool, Resource
from mesh_control.ads.state import TypeState, Update, diff
from mesh_core.wire import types


def made(**bodies: str) -> Mapping[str, Resource]:
    pool = Pool()
    bytes_by_name = {name: body.encode() for name, body in bodies.items()}
    return pool.resources({"t": bytes_by_name})["t"]


def names(update: Update | None) -> tuple[list[str], list[str]] | None:
    return update and ([r.name for r in update.resources], list(update.removed))


def started(type_url: str, *wanted: str, initial: Mapping[str, str] | None = None) -> TypeState:
    state = TypeState(type_url)
    state.start(wanted, initial or {})
    return state


def send(resources: Mapping[str, Resource], state: TypeState) -> tuple[list[str], list[str]] | None:
    update = diff(resources, state, incremental=True)
    if update:
        state.confirm(update)
    return names(update)


def test_a_type_that_was_not_asked_for_gets_nothing() -> None:
    assert diff(made(a="1"), TypeState(types.CLUSTER), incremental=True) is None


def test_a_wildcard_gets_all_once_then_what_changes() -> None:
    state = started(types.CLUSTER)
    assert send(made(a="1", b="1"), state) == (["a", "b"], [])
    assert send(made(a="1", b="1"), state) is None
    assert send(made(a="1", b="2", c="1"), state) == (["b", "c"], [])
    assert send(made(b="2", c="1"), state) == ([], ["a"])
    assert send(made(b="2", c="1"), state) is None


def test_an_empty_first_answer_ends_the_clients_wait() -> None:
    state = started(types.LISTENER)
    assert send({}, state) == ([], [])
    assert send({}, state) is None


def test_an_explicit_wildcard_is_one_too() -> None:
    assert send(made(a="1"), started(types.LISTENER, "*")) == (["a"], [])


def test_names_without_wildcard_get_only_these() -> None:
    state = started(types.CLUSTER, "a")
    assert send(made(a="1", b="1"), state) == (["a"], [])


def test_types_by_name_have_no_legacy_wildcard() -> None:
    state = started(types.ENDPOINT)
    assert send(made(a="1"), state) is None
    state.subscribe(["a"])
    assert send(made(a="1", b="1"), state) == (["a"], [])


def test_the_name_table_is_asked_for_without_names() -> None:
    state = started(types.NAME_TABLE)
    assert send(made(table="1"), state) == (["table"], [])


def test_a_name_that_is_not_there_is_said_to_be_absent_once_and_sent_when_it_comes() -> None:
    state = started(types.ENDPOINT, "a")
    assert send({}, state) == ([], ["a"])
    assert send({}, state) is None
    assert send(made(a="1"), state) == (["a"], [])
    assert send({}, state) == ([], ["a"])
    assert send(made(a="1"), state) == (["a"], [])


def test_a_reconnecting_client_gets_differences_and_removals_only() -> None:
    old = made(a="1", b="1", gone="1")
    versions = {name: resource.version for name, resource in old.items()}
    state = started(types.CLUSTER, initial=versions)
    assert send(made(a="1", b="2", new="1"), state) == (["b", "new"], ["gone"])
    named = started(types.ENDPOINT, "a", "gone", initial=versions)
    assert send(made(a="1"), named) == ([], ["b", "gone"])


def test_nothing_new_for_a_reconnecting_client_is_said_so() -> None:
    resources = made(a="1")
    versions = {name: resource.version for name, resource in resources.items()}
    state = started(types.CLUSTER, initial=versions)
    assert send(resources, state) == ([], [])
    assert send(resources, started(types.ENDPOINT, "a", initial=versions)) is None


def test_a_name_that_is_asked_for_again_is_sent_again() -> None:
    state = started(types.ENDPOINT, "a")
    send(made(a="1"), state)
    state.subscribe(["a"])
    assert send(made(a="1"), state) == (["a"], [])


def test_names_no_more_wanted_are_not_sent_and_not_removed() -> None:
    state = started(types.ENDPOINT, "a", "b")
    send(made(a="1", b="1"), state)
    state.unsubscribe(["a"])
    assert send(made(a="2", b="2"), state) == (["b"], [])
    assert send(made(b="2"), state) is None


def test_leaving_the_wildcard_keeps_the_names() -> None:
    state = started(types.CLUSTER, "*", "a")
    send(made(a="1", b="1"), state)
    state.unsubscribe(["*"])
    assert send(made(a="2", b="2"), state) == (["a"], [])
    state.subscribe(["*"])
    assert send(made(a="2", b="2"), state) == (["b"], [])


def test_a_name_dropped_under_a_wildcard_is_sent_again_as_part_of_it() -> None:
    state = started(types.CLUSTER, "*", "a")
    send(made(a="1"), state)
    state.unsubscribe(["a"])
    assert send(made(a="1"), state) == (["a"], [])


def test_what_is_owed_is_sent_though_unchanged() -> None:
    state = started(types.ENDPOINT, "a", "b")
    resources = made(a="1", b="1")
    send(resources, state)
    state.owed.update(["a", "unwanted"])
    assert send(resources, state) == (["a"], [])
    assert send(resources, state) is None


def test_state_of_the_world_sends_all_clusters_but_only_the_endpoints_that_changed() -> None:
    for type_url, expected in ((types.CLUSTER, ["a", "b"]), (types.ENDPOINT, ["b"])):
        state = started(type_url, "a", "b")
        update = diff(made(a="1", b="1"), state, incremental=False)
        assert update is not None
        state.confirm(update)
        update = diff(made(a="1", b="2"), state, incremental=False)
        assert update is not None
        assert [r.name for r in update.resources] == expected
        assert [r.name for r in update.changed] == ["b"]


def test_state_of_the_world_can_say_absence_of_the_whole_only() -> None:
    for type_url, expected in ((types.CLUSTER, (["a"], ["b"])), (types.ENDPOINT, None)):
        state = started(type_url, "a", "b")
        update = diff(made(a="1", b="1"), state, incremental=False)
        assert update is not None
        state.confirm(update)
        assert names(diff(made(a="1"), state, incremental=False)) == expected


def test_state_of_the_world_replaces_names() -> None:
    state = started(types.ENDPOINT, "a", "b")
    resources = made(a="1", b="1", c="1")
    for wanted, expected in (
        (["a", "b"], (["a", "b"], [])),
        (["b", "c"], (["c"], [])),
        (["a", "b", "c"], (["a"], [])),
        (["a"], None),
    ):
        state.replace(wanted)
        update = diff(resources, state, incremental=False)
        assert names(update) == expected
        if update:
            state.confirm(update)


def test_state_of_the_world_keeps_a_wildcard_without_names() -> None:
    state = started(types.LISTENER)
    state.replace([])
    assert state.wildcard
    state.replace(["a"])
    assert not state.wildcard


def test_equal_resources_are_kept_once() -> None:
    pool = Pool()
    one = pool.resources({"t": {"a": b"1"}})["t"]["a"]
    assert pool.resources({"t": {"a": b"1"}})["t"]["a"] is one
    other = pool.resources({"t": {"a": b"2"}})["t"]["a"]
    assert other.version != one.version
    assert len(pool) == 2
    del other
    assert len(pool) == 1
