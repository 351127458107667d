# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format: the agent's samples written. Pure.

Written here, because the client library takes 4 MB of resident memory for what is a join.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Sample = tuple[str, Mapping[str, str], float]
"""A metric's name, its labels and its value."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def render(samples: Iterable[Sample]) -> bytes:
    """Write samples; those of one metric follow each other. Types are told from the names."""
    families: dict[str, list[str]] = {}
    samples = list(samples)
    histograms = {
        name[: -len("_bucket")] for name, _labels, _value in samples if name.endswith("_bucket")
    }
    for name, labels, value in samples:
        family = _HISTOGRAM.sub("", name)
        family = family if family in histograms else name
        text = ",".join(f'{key}="{label.translate(_ESCAPES)}"' for key, label in labels.items())
        line = f"{name}{{{text}}} {value:.15g}" if text else f"{name} {value:.15g}"
        families.setdefault(family, []).append(line)
    lines = []
    for family, written in families.items():
        lines += [f"# TYPE {family} {_kind(family, histograms)}", *written]
    return "".join(f"{line}\n" for line in lines).encode()


def _kind(family: str, histograms: set[str]) -> str:
    if family in histograms:
        return "histogram"
    return "counter" if family.endswith("_total") else "gauge"
