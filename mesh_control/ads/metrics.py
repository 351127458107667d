# SPDX-License-Identifier: Apache-2.0
"""What the discovery service counts; names are istiod's."""

from __future__ import annotations

from collections import Counter as Tally

from mesh_control.ads.sessions import Sessions
from mesh_control.web.metrics import Metrics
from mesh_core.wire import types

_SHORT = {
    types.CLUSTER: "cds",
    types.ENDPOINT: "eds",
    types.LISTENER: "lds",
    types.ROUTE: "rds",
    types.SECRET: "sds",
    types.EXTENSION_CONFIG: "ecds",
    types.NAME_TABLE: "nds",
}
_BOUNDS = (0.1, 0.5, 1, 3, 5, 10, 20, 30)  # istiod's


class DiscoveryMetrics:
    """Counters of answers, refusals and failures; gauges of the open streams."""

    def __init__(self, metrics: Metrics, sessions: Sessions) -> None:
        self._sessions = sessions
        metrics.gauge(
            "pilot_xds", "Connected proxies by Istio version.", self._by_version, ["version"]
        )
        self._pushes = metrics.counter("pilot_xds_pushes", "Answers sent, by type.", ["type"])
        self._rejects = metrics.counter(
            "pilot_total_xds_rejects", "Resources refused by proxies, by type.", ["type"]
        )
        self._failures = metrics.counter(
            "pilot_total_xds_internal_errors", "Configurations that could not be made."
        )
        self._convergence = metrics.histogram(
            "pilot_proxy_convergence_time",
            "Seconds from a change of the mesh to the last answer for it, per proxy.",
            _BOUNDS,
        )

    def sent(self, type_url: str) -> None:
        """Count an answer."""
        self._pushes.inc(_SHORT.get(type_url, "other"))

    def refused(self, type_url: str) -> None:
        """Count a refused resource."""
        self._rejects.inc(_SHORT.get(type_url, "other"))

    def failed(self) -> None:
        """Count a configuration that could not be made."""
        self._failures.inc()

    def converged(self, seconds: float) -> None:
        """Count a change that has reached a proxy."""
        self._convergence.observe(seconds)

    def _by_version(self) -> dict[tuple[str, ...], float]:
        versions = (str(s.proxy.metadata.get("ISTIO_VERSION", "")) for s in self._sessions)
        return {(version,): float(number) for version, number in Tally(versions).items()}
