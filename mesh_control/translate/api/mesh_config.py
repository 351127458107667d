# SPDX-License-Identifier: Apache-2.0
"""Mesh-wide settings (MeshConfig in ConfigMap istio), as far as the data plane heeds them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OutboundMode(StrEnum):
    ALLOW_ANY = "ALLOW_ANY"
    REGISTRY_ONLY = "REGISTRY_ONLY"


@dataclass(frozen=True, slots=True)
class OutboundTrafficPolicy:
    mode: OutboundMode = OutboundMode.ALLOW_ANY


@dataclass(frozen=True, slots=True)
class MeshConfig:
    access_log_file: str = ""
    outbound_traffic_policy: OutboundTrafficPolicy = OutboundTrafficPolicy()
