# SPDX-License-Identifier: Apache-2.0
"""YAML as Kubernetes reads it, with places."""

from __future__ import annotations

import pytest

from mesh_control.objects.text import documents, plain


def test_documents_are_counted_from_zero_and_empty_ones_are_left_out() -> None:
    raws, problems = documents("a.yaml", "---\nx: 1\n---\n---\ny: 2\n")
    assert [(raw.where, raw.data) for raw in raws] == [
        ("a.yaml[0]", {"x": 1}),
        ("a.yaml[2]", {"y": 2}),
    ]
    assert not problems


def test_a_field_is_found_in_its_line_and_a_missing_one_in_its_parents() -> None:
    (raw,), _ = documents("a.yaml", "spec:\n  http:\n    - name: x\n      route: []\n")
    assert raw.line(("spec", "http", 0, "route")) == 4
    assert raw.line(("spec", "http", 0, "timeout")) == 3
    assert raw.line(("metadata", "name")) == 1


def test_a_syntax_error_keeps_the_documents_before_it() -> None:
    raws, problems = documents("a.yaml", "x: 1\n---\ny: [1\nz: 2\n")
    assert [raw.data for raw in raws] == [{"x": 1}]
    (problem,) = problems
    assert str(problem).startswith("a.yaml: not valid YAML: line ")
    assert problem.file == "a.yaml"


def test_a_key_given_twice_is_an_error_that_names_both_lines() -> None:
    raws, problems = documents("a.yaml", "spec:\n  hosts: [a]\n  hosts: [b]\n")
    assert not raws
    assert [str(p) for p in problems] == [
        "a.yaml[0]: key 'hosts' is given twice, first in line 2 (line 3)"
    ]


def test_an_alias_that_holds_itself_is_an_error() -> None:
    raws, problems = documents("a.yaml", "a: &x\n  b: *x\n")
    assert not raws
    assert "an alias refers to what holds it" in str(problems[0])


def test_aliases_and_merge_keys_are_resolved() -> None:
    text = "a: &x {k: 1}\nb: {<<: *x, l: 2}\nc: *x\n"
    (raw,), problems = documents("a.yaml", text)
    assert raw.data == {"a": {"k": 1}, "b": {"k": 1, "l": 2}, "c": {"k": 1}}
    assert not problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-01", "2026-01-01"),
        ("12:30", "12:30"),
        ("1e3", 1000.0),
        ("0x10", 16),
        ("8080", 8080),
        ("1.5", 1.5),
        ("yes", True),
        ("v1", "v1"),
        ("~", None),
    ],
)
def test_scalars_are_what_kubernetes_makes_of_them(text: str, value: object) -> None:
    assert plain(f"x: {text}") == {"x": value}


def test_keys_become_strings() -> None:
    assert plain("{8080: a, true: b, null: c}") == {"8080": "a", "true": "b", "null": "c"}


def test_an_unsafe_tag_is_an_error() -> None:
    raws, problems = documents("a.yaml", "x: !!python/object/apply:os.getcwd []\n")
    assert not raws
    assert "could not determine a constructor" in str(problems[0])
