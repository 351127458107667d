# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from mesh_agent.health.settings import HealthSettings, ReadinessProbe
from mesh_agent.health.state import HealthReport, ProbeState
from mesh_core.config import parse
from mesh_core.errors import ConfigError

UP = HealthReport(True)
DOWN = HealthReport(False, "x")


def reports(results: str, success: int = 1, failure: int = 3) -> list[HealthReport | None]:
    """``results`` has ``+`` for a success and ``-`` for a failure."""
    state, found = ProbeState(success, failure), []
    for result in results:
        state, report = state.after(None if result == "+" else "x")
        found.append(report)
    return found


@pytest.mark.parametrize(
    ("results", "success", "failure", "expected"),
    [
        ("+", 1, 3, [UP]),
        ("++++", 1, 3, [UP, None, None, None]),
        ("---", 1, 3, [None, None, DOWN]),
        ("-----", 1, 3, [None, None, DOWN, None, None]),
        ("-", 1, 1, [DOWN]),
        ("++-++--+", 1, 3, [UP] + [None] * 7),
        ("+--+---", 1, 3, [UP, None, None, None, None, None, DOWN]),
        ("---+", 1, 3, [None, None, DOWN, UP]),
        ("---+-++", 2, 3, [None, None, DOWN, None, None, None, UP]),
        ("+-+-++", 2, 3, [None] * 5 + [UP]),
        ("--+---", 2, 3, [None] * 5 + [DOWN]),
    ],
)
def test_reports_come_with_certainty_and_with_change(
    results: str, success: int, failure: int, expected: list[HealthReport | None]
) -> None:
    assert reports(results, success, failure) == expected


def test_the_defaults_are_those_of_the_api() -> None:
    settings = parse(HealthSettings, {"probe": {"http_get": {"port": 8080}}}, "agent.yaml")
    probe = settings.probe
    assert probe and probe.http_get
    assert (probe.http_get.path, probe.http_get.scheme) == ("/", "http")
    assert (probe.initial_delay_seconds, probe.period_seconds, probe.timeout_seconds) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold) == (1, 3)
    assert parse(HealthSettings, {}, "agent.yaml").probe is None


def test_everything_can_be_given() -> None:
    http_get = {"port": 1, "path": "/x?y", "scheme": "HTTPS", "host": "h", "headers": {"A": "b"}}
    for kind, value in (
        ("http_get", http_get),
        ("tcp_socket", {"port": 1, "host": "h"}),
        ("exec", {"command": ["true", "x"]}),
        ("grpc", {"port": 1, "service": "s"}),
    ):
        assert getattr(parse(ReadinessProbe, {kind: value}, "x"), kind) is not None


@pytest.mark.parametrize(
    ("probe", "problem"),
    [
        ({}, "probe: expected exactly one of http_get, tcp_socket, exec, grpc, found none"),
        ({"exec": {"command": ["a"]}, "grpc": {"port": 1}}, "found exec and grpc"),
        ({"http_get": {}}, "http_get.port: is required"),
        ({"http_get": {"port": 0}}, "http_get: port: expected 1 to 65535, found 0"),
        ({"tcp_socket": {"port": 65536}}, "tcp_socket: port: expected"),
        ({"grpc": {"port": -1}}, "grpc: port: expected"),
        ({"http_get": {"port": 1, "path": "x"}}, "path: expected it to begin with /"),
        ({"http_get": {"port": 1, "scheme": "ftp"}}, "scheme: expected http"),
        ({"exec": {"command": []}}, "exec: command: expected a program"),
        ({"exec": {"command": ["a"]}, "period_seconds": 0}, "period_seconds: expected more than 0"),
        ({"exec": {"command": ["a"]}, "timeout_seconds": 0}, "timeout_seconds: expected more"),
        ({"exec": {"command": ["a"]}, "failure_threshold": 0}, "failure_threshold: expected at"),
        ({"exec": {"command": ["a"]}, "success_threshold": 0}, "success_threshold: expected at"),
        ({"exec": {"command": ["a"]}, "initial_delay_seconds": -1}, "initial_delay_seconds: exp"),
    ],
)
def test_bad_settings_are_named(probe: object, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"^agent.yaml: .*{problem}"):
        parse(HealthSettings, {"probe": probe}, "agent.yaml")
