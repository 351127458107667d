# SPDX-License-Identifier: Apache-2.0
"""What an operator's Telemetry changes in Istio's metrics, as istio.stats is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mesh_agent.adapt.expressions import refusal
from mesh_agent.adapt.labels import CUSTOM, STANDARD, TOLD, WITHOUT

_KEPT: Final = "reporter"
"""Marks the metrics that are Istio's, wanted or not."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is different in one metric: Istio's labels taken away, labels given an expression."""

    removed: frozenset[str] = frozenset()
    given: Mapping[str, str] = field(default_factory=dict)

    def labels(self, written: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield labels with their formats, from those that Envoy would write.

        One of which something else is told is written still; the scrape takes it away.
        """
        unwanted = self.removed - self.given.keys()
        for label, text in written.items():
            if label == _KEPT or not TOLD[label] <= unwanted:
                yield label, text
        if unwanted:
            yield WITHOUT, ",".join(sorted(unwanted))
        for label, expression in sorted(self.given.items()):
            yield CUSTOM + label, f"%CEL({expression})%"


@dataclass(frozen=True, slots=True)
class Overrides:
    """Changes by the metric's name, "" for all; ``ignored`` says what cannot be done, and why."""

    dropped: frozenset[str] = frozenset()
    changes: Mapping[str, Change] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def keeps(self, metric: str) -> bool:
        """Whether a metric is wanted."""
        return metric not in self.dropped

    def change(self, metric: str) -> Change:
        """Return what is different in a metric."""
        both = [self.changes[name] for name in ("", metric) if name in self.changes]
        return Change(
            frozenset().union(*(change.removed for change in both)),
            {label: text for change in both for label, text in change.given.items()},
        )


def overrides_of(config: Any) -> Overrides:
    """Read a PluginConfig of istio.stats."""
    dropped: set[str] = set()
    changes: dict[str, Change] = {}
    ignored = [f"metric {each.name}: a metric of one's own" for each in config.definitions]
    for metric in config.metrics:
        name = f"istio_{metric.name}" if metric.name else ""
        if metric.drop:
            dropped.add(name)  # of all metrics, it means none, as with Istio
            continue
        given = {}
        for label, expression in sorted(metric.dimensions.items()):
            if why := refusal(expression):
                ignored.append(f"label {label} of metric {metric.name or 'any'}: {why}")
            else:
                given[label] = expression
        before = changes.get(name, Change())
        changes[name] = Change(
            before.removed | (frozenset(metric.tags_to_remove) & STANDARD),
            {**before.given, **given},
        )
    return Overrides(frozenset(dropped), changes, tuple(ignored))
