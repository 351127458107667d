# SPDX-License-Identifier: Apache-2.0
"""The running parts as one status, and as gauges."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mesh_control.ads.sessions import Sessions
from mesh_control.ca.service import CertificateService
from mesh_control.ca.serving import ServingCertificate
from mesh_control.model import Document, MeshSnapshot
from mesh_control.objects.problems import Problem
from mesh_control.web import status
from mesh_control.web.metrics import Metrics
from mesh_core import __version__
from mesh_core.pki import Authority, read_certificate


class Overview:
    """Asks the parts when it is asked itself."""

    def __init__(
        self,
        *,
        trust_domain: str,
        cluster_id: str,
        since: datetime,
        documents: Callable[[], Sequence[Document]],
        problems: Callable[[], Sequence[Problem]],
        snapshot: Callable[[], MeshSnapshot],
        sessions: Sessions,
        certificates: CertificateService,
        serving: ServingCertificate,
        authority: Authority,
    ) -> None:
        self._trust_domain = trust_domain
        self._cluster_id = cluster_id
        self._since = since
        self._documents = documents
        self._problems = problems
        self._snapshot = snapshot
        self._sessions = sessions
        self._certificates = certificates
        self._serving = serving
        self._root_not_after = read_certificate(authority.root_pem.encode()).not_after

    def status(self) -> dict[str, Any]:
        """Return everything for ``/status`` as plain data; times in ISO 8601, UTC."""
        snapshot = self._snapshot()
        return {
            "version": __version__,
            "trust_domain": self._trust_domain,
            "cluster_id": self._cluster_id,
            "since": _time(self._since),
            "mesh": snapshot.version,
            "objects": status.objects_by_kind(self._documents()),
            "problems": status.problems(self._problems()),
            "proxies": [session.status() for session in self._sessions],
            "workloads": status.workloads(snapshot),
            "certificates": {
                "issued": self._certificates.issued,
                "refused": self._certificates.refused,
                "serving_not_after": _time(self._serving.not_after),
                "root_not_after": _time(self._root_not_after),
            },
        }

    def add_gauges(self, metrics: Metrics) -> None:
        """Have the same facts scraped; istiod's names where it has them."""
        metrics.gauge("pilot_info", "The version.", lambda: {(__version__,): 1.0}, ["version"])
        metrics.gauge("pilot_services", "Services.", lambda: len(self._snapshot().services))
        metrics.gauge(
            "pilot_virt_services",
            "VirtualServices.",
            lambda: len(self._snapshot().virtual_services),
        )
        metrics.gauge(
            "mesh_control_workloads",
            "Workloads, by health.",
            self._workloads_by_health,
            ["healthy"],
        )
        metrics.gauge(
            "mesh_control_object_problems",
            "Things wrong with the objects.",
            lambda: len(self._problems()),
        )
        metrics.gauge(
            "citadel_server_root_cert_expiry_timestamp",
            "End of the root certificate, in seconds since 1970.",
            self._root_not_after.timestamp,
        )
        metrics.gauge(
            "mesh_control_serving_cert_expiry_timestamp",
            "End of the control plane's own certificate, in seconds since 1970.",
            self._serving_end,
        )
        metrics.gauge("process_cpu_seconds_total", "CPU time used.", time.process_time)
        metrics.gauge("process_resident_memory_bytes", "Memory in use.", _resident_bytes)
        metrics.gauge(
            "process_start_time_seconds", "Start, in seconds since 1970.", self._since.timestamp
        )

    def _serving_end(self) -> float:
        return self._serving.not_after.timestamp()

    def _workloads_by_health(self) -> dict[tuple[str, ...], float]:
        healthy = [workload.healthy for workload in self._snapshot().workloads.values()]
        return {("true",): healthy.count(True), ("false",): healthy.count(False)}


def _resident_bytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
