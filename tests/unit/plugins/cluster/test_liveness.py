# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a host is away; without it, the host counts as alive."""

from __future__ import annotations

from typing import Any

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.liveness import Evidence, judge
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload

PLACE = ("ns", "10.0.0.1", "web")


def entry(**changes: Any) -> Workload:
    values: dict[str, Any] = {
        "name": "web-10.0.0.1",
        "namespace": "ns",
        "address": "10.0.0.1",
        "network": "net-1",
        "service_account": "web",
        "group": "web",
        "labels": {},
        "health": "unchecked",
        "connected_at": "2026-11-21T11:50:00.123456789Z",
    }
    return Workload(**{**values, **changes})


def test_without_evidence_there_is_no_proof_and_the_reason_is_said() -> None:
    assert judge(entry(), Evidence()) == (
        None,
        "nothing proves that the host is away: no istiod was asked",
    )
    proof, kept = judge(entry(), Evidence(unasked="istiod i/x cannot be asked"))
    assert proof is None
    assert kept.endswith(": istiod i/x cannot be asked")


def test_istiod_wrote_that_it_left() -> None:
    left = "2026-11-21T11:59:00Z"
    proof, kept = judge(entry(disconnected_at=left, connected_at=""), Evidence())
    assert left in str(proof)
    assert kept == ""


def test_an_entry_goes_when_no_istiod_has_a_connection_of_its_place_and_group() -> None:
    assert judge(entry(), Evidence(frozenset())) == ("no istiod has a connection to it", "")
    alive = Evidence(frozenset({PLACE}))
    assert judge(entry(), alive)[0] is None
    assert "alive" in judge(entry(), alive)[1]
    for other in ({"group": "old"}, {"namespace": "other"}, {"address": "10.0.0.2"}):
        assert judge(entry(**other), alive)[0]


def test_how_old_a_connection_is_proves_nothing() -> None:
    old = entry(connected_at="2001-01-01T00:00:00Z")
    assert judge(old, Evidence())[0] is None
    assert judge(old, Evidence(frozenset({PLACE})))[0] is None
