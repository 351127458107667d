# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from mesh_agent.relay.record import Record, Refusal, blamed
from mesh_core.wire import types
from tests.wire.agent.support.clock import START, StepClock


@pytest.mark.parametrize(
    ("names", "message", "expected"),
    [
        (("a",), "whatever", ("a",)),
        (
            ("0.0.0.0_80", "0.0.0.0_8080"),
            "Error adding/updating listener(s) 0.0.0.0_8080: no such filter",
            ("0.0.0.0_8080",),
        ),
        (
            ("outbound|80||a.b", "outbound|80||a.b.c", "x"),
            "Error adding/updating cluster(s) outbound|80||a.b: bad, x: worse",
            ("outbound|80||a.b", "x"),
        ),
        (("a", "b"), "something", ("",)),
        ((), "something", ("",)),
    ],
)
def test_the_refused_resource_is_named(
    names: tuple[str, ...], message: str, expected: tuple[str, ...]
) -> None:
    assert blamed(names, message) == expected


def test_a_refusal_stands_until_the_resource_is_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = Record(StepClock())
    with caplog.at_level(logging.ERROR):
        assert record.refused(types.LISTENER, ("a", "b"), "listener(s) b: bad") == ("b",)
    assert "Envoy refuses Listener b: listener(s) b: bad" in caplog.text
    record.accepted(types.LISTENER, ("a",))
    record.accepted(types.CLUSTER, ("b",))
    assert record.refusals == (Refusal(types.LISTENER, "b", "listener(s) b: bad"),)
    record.accepted(types.LISTENER, ("b",))
    assert record.refusals == ()
    assert record.counts.refusals == {"Listener": 1}


def test_the_connection_is_told_with_its_times(caplog: pytest.LogCaptureFixture) -> None:
    clock = StepClock()
    record = Record(clock)
    assert (record.status.connected, record.status.source) == (False, "none")
    record.connected("control:15012")
    clock.passed = 10
    record.connected("control:15012")  # every response says so
    assert record.status.address == "control:15012"
    assert record.status.since == START
    assert record.status.source == "live"
    assert record.counts.connections == 1
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            record.lost("no answer", cached=True)
            clock.passed += 10
    assert caplog.text.count("no answer") == 1
    assert record.status.source == "cache"
    assert record.status.since is not None
    assert (record.status.since - START).total_seconds() == 10
    assert record.status.last_error == "no answer"
    assert record.counts.connection_failures == 3
    record.connected("control:15012")
    record.connected("other:15012")  # a new stream was wanted, nothing was lost
    assert record.status.address == "other:15012"
    assert record.counts.connections == 3
    record.refused(types.LISTENER, ("l",), "bad")
    record.envoy_gone()
    assert record.status.source == "none"
    assert record.refusals == ()
