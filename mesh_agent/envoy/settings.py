# SPDX-License-Identifier: Apache-2.0
"""The ``proxy`` section of the agent's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Envoy on this host."""

    binary: Path = Path("/opt/hybrid-mesh/envoy/current/envoy/_bin/envoy")
    """The released binary."""

    concurrency: int = 2
    """Worker threads."""

    log_level: Literal["trace", "debug", "info", "warning", "error", "critical", "off"] = "warning"

    drain_seconds: int = 5
    """How long connections may finish when it is stopped."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if self.concurrency < 1:
            raise ValueError(f"concurrency: expected at least 1, found {self.concurrency}")
        if self.drain_seconds < 0:
            raise ValueError(f"drain_seconds: expected 0 or more, found {self.drain_seconds}")
