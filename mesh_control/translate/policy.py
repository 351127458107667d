# SPDX-License-Identifier: Apache-2.0
"""Which traffic policy of a DestinationRule holds for a port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mesh_control.translate.api.destination_rule import (
    ClientTls,
    ConnectionPool,
    DestinationRule,
    LoadBalancer,
    OutlierDetection,
    Subset,
    TrafficPolicy,
)

_FIELDS: Final = ("load_balancer", "connection_pool", "outlier_detection", "tls")


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for one port of a service or subset."""

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None


def effective(rule: DestinationRule | None, port: int, subset: Subset | None = None) -> Policy:
    """Return the policy of a service's port: a port's settings replace the rule's whole.

    A subset's policy overrides block by block, unless it has settings for the port.
    """
    base, _unused = _at_port(rule.traffic_policy if rule else None, port)
    if subset is None or subset.traffic_policy is None:
        return base
    own, whole = _at_port(subset.traffic_policy, port)
    if whole:
        return own
    return Policy(**{f: getattr(own, f) or getattr(base, f) for f in _FIELDS})


def _at_port(policy: TrafficPolicy | None, port: int) -> tuple[Policy, bool]:
    if policy is None:
        return Policy(), False
    for setting in policy.port_level_settings:
        if setting.port.number == port:
            return Policy(**{f: getattr(setting, f) for f in _FIELDS}), True
    return Policy(**{f: getattr(policy, f) for f in _FIELDS}), False
