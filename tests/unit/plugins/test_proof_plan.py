# SPDX-License-Identifier: GPL-3.0-or-later
"""mesh_calls, checked before the first call."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.plan import (
    PlanError,
    check_call,
    make_plan,
)

_HOSTS = ["web", "api-1", "outsider"]
_GROUPS = ["mesh", "web_servers"]
_CALL = {"from": "web", "url": "http://api.shop.svc.cluster.local/", "expect": "allowed"}


def test_names_and_destinations_are_completed() -> None:
    plan = make_plan([_CALL, {**_CALL, "name": "mine", "to": "api-1"}], _HOSTS)
    assert [(call["name"], call["to"]) for call in plan] == [("api.shop", []), ("mine", ["api-1"])]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"from": "wbe"},
            "mesh_calls[0].from: no host 'wbe' in the inventory; did you mean 'web'?",
        ),
        ({"from": "zzz"}, "mesh_calls[0].from: no host 'zzz' in the inventory"),
        ({"from": "mesh"}, "mesh_calls[0].from: mesh is a group, expected a host"),
        ({"from": None}, "mesh_calls[0].from: missing; expected the host that makes the call"),
        ({"to": ["web", "gone"]}, "mesh_calls[0].to: no host 'gone' in the inventory"),
        ({"pear": 1}, "mesh_calls[0]: unknown key 'pear'; did you mean 'peer'?"),
        ({"url": None}, "mesh_calls[0].url: missing; expected a URL"),
        ({"url": "ftp://a"}, "mesh_calls[0].url: 'ftp://a' has the scheme 'ftp'"),
        ({"expect": "alowed"}, "mesh_calls[0].expect: found 'alowed', expected one of allowed"),
        ({"expect": None}, "mesh_calls[0].expect: missing"),
        ({"peer": "shop/api"}, "mesh_calls[0].peer: found 'shop/api', expected spiffe://"),
        ({"via": "10.0.0.1"}, "mesh_calls[0].via: found '10.0.0.1', expected a list"),
        ({"count": 0}, "mesh_calls[0].count: found 0, expected 1 or more"),
        ({"count": True}, "mesh_calls[0].count: found True"),
        ({"timeout": -1}, "mesh_calls[0].timeout: found -1"),
        ({"plaintext": "no"}, "mesh_calls[0].plaintext: found 'no', expected true or false"),
        ({"spread": {"v1": 0}}, "mesh_calls[0].spread: found {'v1': 0}, expected weights"),
        ({"spread": {}}, "mesh_calls[0].spread: found {}, expected weights"),
        (
            {"spread": {"v1": 1, "v2": 1}, "count": 5},
            "mesh_calls[0].count: 5 calls are too few to show mesh_calls[0].spread, expected"
            " at least 14",
        ),
        (
            {"spread": {"v1": 1}, "expect": "refused"},
            "mesh_calls[0].spread: only a call that is allowed has answers to count",
        ),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan([{**_CALL, **change}], _HOSTS, _GROUPS)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        (None, "mesh_calls: expected a list of calls to prove, found nothing"),
        ([], "found nothing"),
        ({"from": "web"}, "found a dict"),
        (["text"], "mesh_calls[0]: expected a mapping with from, url and expect, found 'text'"),
    ],
)
def test_the_shape_of_the_whole(calls: Any, problem: str) -> None:
    with pytest.raises(PlanError, match="mesh_calls") as caught:
        make_plan(calls, _HOSTS)
    assert problem in str(caught.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(PlanError) as caught:
        make_plan([{**_CALL, "from": "a", "count": 0}, _CALL, {**_CALL, "expect": "x"}], _HOSTS)
    places = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert places == ["mesh_calls[0].from", "mesh_calls[0].count", "mesh_calls[2].expect"]


def test_one_call_as_a_module_has_it() -> None:
    call = {"url": "tcp://a:1", "expect": "refused", "count": 1, "peer": None, "via": None}
    check_call(call, "calls[0]")
    with pytest.raises(PlanError, match=r"calls\[0\].url: 'tcp://a' names no port"):
        check_call({**call, "url": "tcp://a"}, "calls[0]")
