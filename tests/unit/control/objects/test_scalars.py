# SPDX-License-Identifier: Apache-2.0
"""Durations, names and labels."""

from __future__ import annotations

import pytest

from mesh_control.objects import scalars


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1s", 1.0), ("1.5s", 1.5), ("250ms", 0.25), ("1h2m3s", 3723.0), (".5s", 0.5), ("5us", 5e-6)],
)
def test_durations(text: str, expected: float) -> None:
    assert scalars.seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "-1s", "1d", "1s2", "1,5s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        scalars.seconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("*", True), ("*.local", True), ("api", True), ("a.b.", True), ("a*", False), ("", False)],
)
def test_hosts(text: str, expected: bool) -> None:
    assert scalars.is_host(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("app", True), ("a.b/c_d", True), ("A/b", False), ("/b", False), ("a/", False), ("", False)],
)
def test_label_keys(text: str, expected: bool) -> None:
    assert scalars.is_label_key(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", True), ("v1", True), ("a" * 63, True), ("a" * 64, False), ("-", False)],
)
def test_label_values(text: str, expected: bool) -> None:
    assert scalars.is_label_value(text) is expected
