# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from mesh_agent.status.exposition import Sample, render


def test_samples_of_a_metric_stand_together_with_its_type() -> None:
    samples: list[Sample] = [
        ("a_total", {"type": "x"}, 1),
        ("b", {}, 0.25),
        ("a_total", {"type": "y"}, 2),
    ]
    assert render(samples).decode() == (
        '# TYPE a_total counter\na_total{type="x"} 1\na_total{type="y"} 2\n# TYPE b gauge\nb 0.25\n'
    )


def test_large_counts_keep_their_digits() -> None:
    assert b"a_total 1234567890\n" in render([("a_total", {}, 1234567890)])


def test_a_histogram_is_one_family_and_a_plain_sum_is_not() -> None:
    samples: list[Sample] = [
        ("h_bucket", {"le": "+Inf"}, 3),
        ("h_sum", {}, 1.5),
        ("h_count", {}, 3),
        ("check_sum", {}, 7),
    ]
    text = render(samples).decode()
    assert text.count("# TYPE") == 2
    assert "# TYPE h histogram\nh_bucket" in text
    assert "# TYPE check_sum gauge\n" in text


@pytest.mark.parametrize(
    ("value", "written"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb")]
)
def test_labels_are_escaped(value: str, written: str) -> None:
    assert render([("m", {"l": value}, 1)]).decode().splitlines()[1] == f'm{{l="{written}"}} 1'
