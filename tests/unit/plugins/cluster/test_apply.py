# SPDX-License-Identifier: GPL-3.0-or-later
"""Many changes: each failure is its object's alone, and what is bound to fail is not sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import apply, module
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError


class Server:
    """Applies nothing, or raises what is set for a name."""

    def __init__(self, errors: dict[str, ClusterError]) -> None:
        self.errors = errors
        self.deleted: list[tuple[str, dict[str, str]]] = []

    def apply(self, path: str, body: dict[str, Any], **_options: Any) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        for part, error in self.errors.items():
            if part in name:
                raise error
        return body

    def delete(self, path: str, *, only: dict[str, str], dry_run: bool) -> None:
        assert not dry_run
        self.deleted.append((path, only))


def changes(*names: str, namespace: str = "ns") -> list[apply.Change]:
    bodies = [{"metadata": {"name": name, "namespace": namespace}} for name in names]
    return apply.to_apply("WorkloadEntry", bodies, {})


def run(server: Server, planned: list[apply.Change], **options: Any) -> list[apply.Outcome]:
    return apply.execute(server, planned, dry_run=False, **options)  # type: ignore[arg-type]


def test_one_failure_keeps_nobody_back_and_the_order_stays() -> None:
    refused = ClusterError("spec.address: no", 422, "Invalid", ["spec.address"])
    outcomes = run(Server({"b": refused}), changes("a", "b", "c"))
    assert [(o.change.name, o.done) for o in outcomes] == [
        ("ns/a", True),
        ("ns/b", False),
        ("ns/c", True),
    ]
    found = module.summary(outcomes, unchanged=4)
    assert found["created"] == ["ns/a", "ns/c"]
    assert found["changed"]
    assert found["failures"][0]["object"] == "ns/b"
    assert found["failures"][0]["fields"] == ["spec.address"]


def test_a_forbidden_verb_ends_its_namespace_and_an_absent_server_ends_all() -> None:
    names = [f"n{number:03}" for number in range(200)]
    planned = changes(*names) + changes("other", namespace="allowed")
    outcomes = run(Server({"n": ClusterError("may not", 403, "Forbidden")}), planned)
    assert outcomes[-1].done
    assert len([o for o in outcomes if o.error]) <= 16
    assert len([o for o in outcomes if not o.tried]) >= 184
    away = ClusterError("away", None, "Unreachable")
    outcomes = run(Server({"": away}), planned)
    assert len([o for o in outcomes if o.error]) <= 16
    assert not any(outcome.done for outcome in outcomes)


def test_who_may_not_create_may_still_change() -> None:
    new = changes(*(f"new-{number}" for number in range(100)))
    old = {change.name: change.body for change in changes(*(f"old-{n}" for n in range(20)))}
    bodies = [{**body, "spec": {"weight": 2}} for body in old.values() if body]
    planned = new + apply.to_apply("WorkloadEntry", bodies, {k: v for k, v in old.items() if v})
    outcomes = run(Server({"new": ClusterError("create", 403, "Forbidden")}), planned)
    assert [o.change.action for o in outcomes if o.done] == ["updated"] * 20
    assert len([o for o in outcomes if o.error]) <= 16


@pytest.mark.parametrize(
    ("reason", "ends"),
    [
        ("Forbidden", ". Correct that; then a run does the rest."),
        ("Unreachable", ". Another run does what is left."),
        ("Timeout", ". Another run does what is left."),
    ],
)
def test_a_reason_that_many_share_is_said_once(reason: str, ends: str) -> None:
    failures = [module.failure("WorkloadEntry", f"ns/a-{n}", "no", (), reason) for n in range(16)]
    failures += [
        module.failure("WorkloadEntry", f"ns/b-{n}", f"no {n}", (), reason) for n in range(12)
    ]
    said = module._message({"failures": failures, "not_tried": ["ns/c"], "created": ["x"]}, False)
    assert said.startswith(
        "28 failed, 1 changed, 1 not tried: WorkloadEntry ns/a-0 and 15 more: no; "
        "WorkloadEntry ns/b-0: no 0; "
    )
    assert said.endswith(f"; and 3 more for other reasons, all of them in failures{ends}")


def test_nothing_is_left_where_it_is_only_waited_for() -> None:
    late = module.failure("WorkloadEntry", "ns/a", "found unhealthy", (), "Timeout")
    said = module._message({"failures": [late], "not_tried": [], "created": ["ns/a"]}, False)
    assert said == "1 failed, 1 changed: WorkloadEntry ns/a: found unhealthy."


def test_progress_counts_everything_once() -> None:
    told: list[tuple[int, int, int]] = []
    refused = ClusterError("no", 422, "Invalid")
    run(
        Server({"b": refused}),
        changes("a", "b", "c"),
        progress=lambda *counts: told.append(counts),
    )
    assert [done for done, _of, _failed in told] == [1, 2, 3]
    assert told[-1] == (3, 3, 1)


def test_a_steady_delete_is_bound_to_what_was_read() -> None:
    found = {"metadata": {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "7"}}
    planned = apply.to_delete("WorkloadEntry", ["ns/a", "ns/gone"], {"ns/a": found})
    server = Server({})
    run(server, planned)
    run(server, planned, steady=True)
    assert [only for _path, only in server.deleted] == [
        {"uid": "u"},
        {"uid": "u", "resourceVersion": "7"},
    ]


def test_progress_goes_to_a_file_that_is_there_and_makes_none(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    tell = module.progress_to(str(absent), "WorkloadEntry", beat=0)
    assert tell is not None
    tell(1, 2, 0)
    assert not absent.exists()
    present = tmp_path / "present"
    present.touch()
    tell = module.progress_to(str(present), "WorkloadEntry", beat=0)
    assert tell is not None
    tell(1, 3, 0)
    tell(2, 3, 1)
    assert present.read_text() == "WorkloadEntry: 1 of 3\nWorkloadEntry: 2 of 3, 1 failed\n"
    assert module.progress_to(None, "WorkloadEntry") is None
