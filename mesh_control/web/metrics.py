# SPDX-License-Identifier: Apache-2.0
"""Counters, gauges and histograms in Prometheus' text format.

Written here because the names have to be istiod's, to the letter: dashboards made for istiod read
``pilot_xds_pushes``, and the usual client library would add ``_total`` to it.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Samples = Mapping[tuple[str, ...], float]


class Counter:
    """A number that only grows, one per combination of label values."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels)
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def inc(self, *values: str, by: float = 1.0) -> None:
        """Add to the counter of these label values."""
        if len(values) != len(self._labels):
            raise ValueError(f"expected values for {self._labels}, found {values}")
        self._values[values] = self._values.get(values, 0.0) + by

    def value(self, *values: str) -> float:
        """Return the present number; without label values the sum of all."""
        return self._values.get(values, 0.0) if values else sum(self._values.values())

    def samples(self) -> Samples:
        """Return all present numbers by label values."""
        return self._values


class Histogram:
    """How long things took, in seconds, by buckets."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(sorted(bounds))
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one of this length."""
        self.counts[bisect.bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Metrics:
    """All metrics of one process, in the order in which they were made."""

    def __init__(self) -> None:
        self._render: dict[str, Callable[[], Iterator[str]]] = {}

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Make a counter."""
        made = Counter(labels)
        self._add(name, text, "counter", lambda: _lines(name, labels, made.samples()))
        return made

    def gauge(
        self, name: str, text: str, read: Callable[[], float | Samples], labels: Sequence[str] = ()
    ) -> None:
        """Have ``read`` asked at each scrape: a number, or numbers by label values."""

        def lines() -> Iterator[str]:
            value = read()
            return _lines(name, labels, {(): value} if isinstance(value, int | float) else value)

        self._add(name, text, "gauge", lines)

    def histogram(self, name: str, text: str, bounds: Sequence[float]) -> Histogram:
        """Make a histogram with these upper bounds, in seconds."""
        made = Histogram(bounds)

        def lines() -> Iterator[str]:
            total = 0
            for bound, count in zip((*made.bounds, float("inf")), made.counts, strict=True):
                total += count
                edge = "+Inf" if bound == float("inf") else _number(bound)
                yield f'{name}_bucket{{le="{edge}"}} {total}'
            yield f"{name}_sum {_number(made.sum)}"
            yield f"{name}_count {total}"

        self._add(name, text, "histogram", lines)
        return made

    def render(self) -> str:
        """Return the text for a scrape."""
        return "".join(f"{line}\n" for lines in self._render.values() for line in lines())

    def _add(self, name: str, text: str, kind: str, lines: Callable[[], Iterator[str]]) -> None:
        if name in self._render:
            raise ValueError(f"metric {name} is there already")

        def with_head() -> Iterator[str]:
            yield f"# HELP {name} {text}"
            yield f"# TYPE {name} {kind}"
            yield from lines()

        self._render[name] = with_head


def _lines(name: str, labels: Sequence[str], samples: Samples) -> Iterator[str]:
    for values, number in sorted(samples.items()):
        pairs = ",".join(
            f'{label}="{_escape(value)}"' for label, value in zip(labels, values, strict=True)
        )
        yield f"{name}{{{pairs}}} {_number(number)}" if pairs else f"{name} {_number(number)}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
