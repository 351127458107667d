# SPDX-License-Identifier: Apache-2.0
"""Sets of paths against data."""

from __future__ import annotations

import pytest

from mesh_control.objects.problems import dotted
from mesh_control.objects.scalars import BOOL, STRING
from mesh_control.objects.supported import Paths, unsupported
from mesh_control.objects.types import ListOf, MapOf, Message

_INNER = Message({"exact": STRING, "prefix": STRING})
_SCHEMA = Message(
    {
        "mode": STRING,
        "on": BOOL,
        "names": ListOf(STRING),
        "http": ListOf(Message({"match": MapOf(_INNER), "timeout": STRING})),
    }
)
_VALUE = {
    "mode": "A",
    "on": False,
    "names": ["x", "y"],
    "http": [{"timeout": "1s"}, {"match": {"k": {"exact": "a", "prefix": "b"}}}],
}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ({"mode", "on", "names", "http"}, []),
        ({"spec.mode", "on", "names[]", "http[].match", "http[].timeout"}, []),
        ({"mode", "on", "names"}, ["http"]),
        ({"mode", "on", "names", "http[].match"}, ["http[0].timeout"]),
        ({"mode", "on", "names", "http[].timeout"}, ["http[1].match"]),
        (
            {"mode", "on", "names", "http[].timeout", "http[].match.*.exact"},
            ["http[1].match.k.prefix"],
        ),
        (
            {"mode", "on", "names", "http[].timeout", "http[].match", "http[].match{}.exact"},
            ["http[1].match.k.prefix"],
        ),
        ({"mode=A", "mode=B", "on=false", "names[]=x", "http"}, ["names[1]"]),
        ({"mode=B", "on=true", "names", "http"}, ["mode", "on"]),
        (set(), ["mode", "on", "names", "http"]),
    ],
)
def test_what_lies_outside(paths: set[str], expected: list[str]) -> None:
    found = unsupported(_SCHEMA, _VALUE, Paths(paths), ())
    assert [dotted(finding.path) for finding in found] == expected


def test_a_value_outside_is_named_with_the_supported_ones() -> None:
    (finding,) = unsupported(_SCHEMA, {"mode": "C"}, Paths({"mode=A", "mode=B"}), ("spec",))
    assert finding.message == "'C' (supported: A, B)"
    assert dotted(finding.path) == "spec.mode"
