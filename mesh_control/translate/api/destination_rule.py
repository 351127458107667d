# SPDX-License-Identifier: Apache-2.0
"""networking.istio.io DestinationRule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from mesh_control.translate.api.values import ExportTo


class Simple(StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    LEAST_REQUEST = "LEAST_REQUEST"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    ROUND_ROBIN = "ROUND_ROBIN"


class TlsMode(StrEnum):
    DISABLE = "DISABLE"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    simple: Simple = Simple.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    probes: int | None = None
    time: timedelta | None = None
    interval: timedelta | None = None


@dataclass(frozen=True, slots=True)
class TcpPool:
    max_connections: int = 0
    connect_timeout: timedelta | None = None
    idle_timeout: timedelta | None = None
    max_connection_duration: timedelta | None = None
    tcp_keepalive: TcpKeepalive | None = None


@dataclass(frozen=True, slots=True)
class HttpPool:
    http1_max_pending_requests: int = 0
    http2_max_requests: int = 0
    max_requests_per_connection: int = 0
    max_retries: int = 0
    idle_timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    tcp: TcpPool = TcpPool()
    http: HttpPool = HttpPool()


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    consecutive_5xx_errors: int | None = None
    consecutive_gateway_errors: int | None = None
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: int = 0
    interval: timedelta | None = None
    base_ejection_time: timedelta | None = None
    max_ejection_percent: int = 0
    min_health_percent: int = 0


@dataclass(frozen=True, slots=True)
class ClientTls:
    mode: TlsMode
    sni: str = ""
    subject_alt_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Port:
    number: int


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """Policy of one port: replaces the rule's whole, nothing is inherited."""

    port: Port
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTls | None = None
    port_level_settings: tuple[PortPolicy, ...] = ()


@dataclass(frozen=True, slots=True)
class Subset:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


@dataclass(frozen=True, slots=True)
class DestinationRule:
    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[ExportTo, ...] = ()
