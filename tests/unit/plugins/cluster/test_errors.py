# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server's refusals become; the answers are those of a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import (
    ClusterError,
    refusal,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.wire import Answer, BrokenError

FORBIDDEN = (
    'workloadentries.networking.istio.io "a" is forbidden: User "joe" cannot patch resource '
    '"workloadentries" in API group "networking.istio.io" in the namespace "vm"'
)


def status(code: int, message: str, reason: str, *causes: dict[str, str]) -> bytes:
    found = {"kind": "Status", "code": code, "message": message, "reason": reason}
    return json.dumps({**found, "details": {"causes": causes}}).encode()


def test_a_forbidden_verb() -> None:
    error = refusal("PATCH", "/x", 403, status(403, FORBIDDEN, "Forbidden"))
    assert error.general
    assert str(error) == (
        "user 'joe' may not patch workloadentries of networking.istio.io in the namespace vm: "
        "expected a role that allows the verb patch on this resource"
    )


def test_an_invalid_field() -> None:
    cause = {"field": "spec.address", "message": 'Invalid value: "x": must be', "reason": "Invalid"}
    error = refusal("PATCH", "/x", 422, status(422, "long", "Invalid", cause, cause))
    assert not error.general
    assert error.fields == ["spec.address"]
    assert str(error) == 'spec.address: Invalid value: "x": must be'


def test_a_conflict_names_fields_and_manager() -> None:
    reason = "FieldManagerConflict"
    causes = [
        {"field": f".spec.{name}", "message": 'conflict with "kubectl"', "reason": reason}
        for name in ("address", "weight")
    ]
    error = refusal("PATCH", "/x", 409, status(409, "long", "Conflict", *causes))
    assert error.fields == ["spec.address", "spec.weight"]
    assert "spec.address, spec.weight by kubectl" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"kind": "Other"}'])
def test_an_answer_that_is_no_status(body: bytes) -> None:
    error = refusal("GET", "/x", 418, body)
    assert error.status == 418
    assert str(error)


class Pool:
    """Answers what is given to it, in order; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request(self, method: str, path: str, headers: Any, body: bytes | None = None) -> Any:
        self.asked.append({"method": method, "path": path, "headers": headers, "body": body})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int, body: Any = None, retry_after: str = "") -> Answer:
    return Answer(status, json.dumps(body or {}).encode(), retry_after)


def api(*answers: Any) -> tuple[Api, Pool, list[float]]:
    pool, slept = Pool(*answers), []
    return Api("https://c:1/", pool, list, "kubeconfig k", slept.append), pool, slept


def test_a_server_that_is_busy_is_asked_again_when_it_says() -> None:
    busy = answer(429, retry_after="3")
    server, pool, slept = api(busy, BrokenError("reset"), answer(200, {"a": 1}))
    assert server.get("/x", limit=1) == {"a": 1}
    assert slept[0] == 3
    assert len(slept) == 2
    assert pool.asked[0]["path"] == "/x?limit=1"


def test_it_is_not_asked_for_ever() -> None:
    server, pool, _slept = api(*[answer(503)] * 9)
    with pytest.raises(ClusterError):
        server.get("/x")
    assert len(pool.asked) == 4


def test_a_server_that_is_away_is_named_with_where_its_address_came_from() -> None:
    server, pool, _slept = api(OSError("Connection refused"))
    with pytest.raises(ClusterError, match=r"https://c:1: the .* refused \(kubeconfig k\)"):
        server.get("/x")
    assert len(pool.asked) == 1


def test_pages_are_put_together() -> None:
    first = {"items": [{"n": 1}], "metadata": {"continue": "t"}}
    server, pool, _slept = api(answer(200, first), answer(200, {"items": [{"n": 2}]}))
    assert server.list("/x") == [{"n": 1}, {"n": 2}]
    assert "continue=t" in pool.asked[1]["path"]


def test_a_dry_delete_says_so_where_the_server_looks() -> None:
    # Beside a body, the server does not look at the query, and the object would be gone.
    server, pool, _slept = api(answer(200))
    server.delete("/x", only={"uid": "u"}, dry_run=True)
    body = json.loads(pool.asked[0]["body"])
    assert body["dryRun"] == ["All"]
    assert body["preconditions"] == {"uid": "u"}
