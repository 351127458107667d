# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a host is away; without it, the host counts as alive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import liveness
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
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
        "controller": "istiod-1",
    }
    return Workload(**{**values, **changes})


def absence(workload: Workload, **changes: Any) -> str | None:
    values = {"now": NOW, "stale_after": timedelta(minutes=45), "settle": timedelta(seconds=60)}
    return liveness.absence(workload, liveness.Evidence(**{**values, **changes}))


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def test_without_evidence_there_is_no_proof() -> None:
    assert absence(entry()) is None
    assert absence(entry(connected_at="")) is None
    assert absence(entry(connected_at="yesterday")) is None


def test_istiod_wrote_that_it_left() -> None:
    left = "2026-11-21T11:59:00Z"
    assert left in str(absence(entry(disconnected_at=left, connected_at="")))


def test_a_connection_that_was_not_renewed_is_none() -> None:
    assert absence(entry(connected_at="2026-11-21T11:14:59Z"))
    assert absence(entry(connected_at="2026-11-21T11:15:01Z")) is None


def test_istiods_own_list_goes_before_everything_older() -> None:
    assert absence(entry(), connected=frozenset())
    old = entry(connected_at="2026-11-21T01:00:00Z")
    assert absence(old, connected=frozenset({PLACE})) is None
    assert absence(entry(group="old"), connected=frozenset({PLACE}))


@pytest.mark.parametrize(
    ("controllers", "proved"),
    [
        ({}, False),  # no istiod is seen at all: they are not pods here
        ({"istiod-1": ago(hours=9)}, False),  # it is the one that the host connected to
        ({"istiod-1": ago(minutes=5)}, True),  # it started anew, and the host did not come back
        ({"istiod-1": ago(seconds=59)}, False),  # the host may still come
        ({"istiod-2": ago(hours=9)}, True),  # it is gone, and the host is at no other
    ],
)
def test_its_istiod_is_gone_or_started_anew(controllers: dict[str, datetime], proved: bool) -> None:
    assert bool(absence(entry(), controllers=controllers)) is proved


def test_a_host_that_connected_a_moment_ago_is_alive_though_its_istiod_is_not_seen() -> None:
    fresh = entry(connected_at="2026-11-21T11:59:30Z")
    assert absence(fresh, controllers={"istiod-2": ago(hours=9)}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T11:50:00Z", datetime(2026, 11, 21, 11, 50, tzinfo=UTC)),
        ("2026-11-21T11:50:00.5Z", datetime(2026, 11, 21, 11, 50, 0, 500000, tzinfo=UTC)),
        ("2026-11-21T11:50:00.123456789+02:00", datetime(2026, 11, 21, 9, 50, 0, 123456, UTC)),
        ("2026-11-21", None),
        ("", None),
    ],
)
def test_times_as_istiod_writes_them(text: str, expected: datetime | None) -> None:
    assert liveness.parse_time(text) == expected
