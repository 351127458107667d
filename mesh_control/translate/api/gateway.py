# SPDX-License-Identifier: Apache-2.0
"""networking.istio.io Gateway: servers that pass TLS through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ServerTlsMode(StrEnum):
    PASSTHROUGH = "PASSTHROUGH"
    AUTO_PASSTHROUGH = "AUTO_PASSTHROUGH"


class ServerProtocol(StrEnum):
    TLS = "TLS"
    HTTPS = "HTTPS"


@dataclass(frozen=True, slots=True)
class ServerPort:
    number: int
    protocol: ServerProtocol
    name: str = ""


@dataclass(frozen=True, slots=True)
class ServerTls:
    mode: ServerTlsMode


@dataclass(frozen=True, slots=True)
class Server:
    port: ServerPort
    hosts: tuple[str, ...]
    tls: ServerTls
    name: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    servers: tuple[Server, ...]
    selector: Mapping[str, str] = field(default_factory=dict)
