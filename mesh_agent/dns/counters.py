# SPDX-License-Identifier: Apache-2.0
"""What DNS counts: plain integers, given out under the names that Istio's agent uses."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Sample = tuple[str, Mapping[str, str], float]
"""A metric's name, its labels and its value."""

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Histogram:
    """Seconds, counted by size."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def samples(self, name: str) -> Iterator[Sample]:
        """Yield the samples of a Prometheus histogram."""
        total = 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            yield f"{name}_bucket", {"le": bound}, total
        yield f"{name}_sum", {}, self._sum
        yield f"{name}_count", {}, total


@dataclass(slots=True)
class Counters:
    """Since the process began.

    ``requests`` came from clients; of these ``answered`` were about the mesh, ``forwarded`` were
    answered by an upstream, ``failed`` by none (SERVFAIL; among them those over the ``limited``
    number waiting), ``malformed`` were no questions, ``unsent`` answers did not leave the socket.
    """

    requests: int = 0
    answered: int = 0
    forwarded: int = 0
    failed: int = 0
    limited: int = 0
    malformed: int = 0
    unsent: int = 0
    upstream_requests: int = 0
    upstream_failures: int = 0
    upstream_seconds: Histogram = field(default_factory=Histogram)

    def samples(self) -> Iterator[Sample]:
        """Yield all of them."""
        yield "istio_agent_dns_requests_total", {}, self.requests
        yield "istio_agent_dns_upstream_requests_total", {}, self.upstream_requests
        yield "istio_agent_dns_upstream_failures_total", {}, self.upstream_failures
        yield from self.upstream_seconds.samples(
            "istio_agent_dns_upstream_request_duration_seconds"
        )
        for result in ("answered", "forwarded", "failed", "limited", "malformed", "unsent"):
            yield "mesh_agent_dns_results_total", {"result": result}, getattr(self, result)
