# SPDX-License-Identifier: Apache-2.0
"""The control plane's configuration: ``/etc/mesh-control/control.yaml`` as dataclasses."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from mesh_core.config import load_yaml, parse

DEFAULT_PATH = Path("/etc/mesh-control/control.yaml")

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_TRUST_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host (an IP address, IPv6 without brackets) and a TCP port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``IP:PORT`` or ``[IPv6]:PORT``; ValueError says what was expected."""
        host, _unused, port = text.rpartition(":")
        wrapped = host.startswith("[") and host.endswith("]")
        try:
            address = ipaddress.ip_address(host[1:-1] if wrapped else host)
            if wrapped != (address.version == 6):
                raise ValueError("brackets are IPv6's")
            number = int(port)
        except ValueError as error:
            raise ValueError(f"expected IP:PORT or [IPv6]:PORT, found {text!r}") from error
        if not 0 <= number <= 65535:
            raise ValueError(f"expected a port from 0 to 65535, found {number}")
        return cls(str(address), number)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where it listens: xDS and certificates (TLS) for hosts, status for this machine."""

    xds: str = "0.0.0.0:15012"
    status: str = "127.0.0.1:15014"

    def __post_init__(self) -> None:
        for name, value in (("xds", self.xds), ("status", self.status)):
            try:
                Address.parse(value)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error


@dataclass(frozen=True, slots=True)
class Registration:
    """How long a host that is gone stays an endpoint: it may only be connecting again."""

    grace_seconds: float = 10.0

    def __post_init__(self) -> None:
        _positive("grace_seconds", self.grace_seconds)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Lives of workload certificates: when the request names none, and the most it may ask for."""

    default_lifetime_seconds: int = 86400
    maximum_lifetime_seconds: int = 7776000

    def __post_init__(self) -> None:
        _positive("default_lifetime_seconds", self.default_lifetime_seconds)
        if self.maximum_lifetime_seconds < self.default_lifetime_seconds:
            raise ValueError(
                "maximum_lifetime_seconds: expected at least default_lifetime_seconds "
                f"({self.default_lifetime_seconds}), found {self.maximum_lifetime_seconds}"
            )

    @property
    def default_lifetime(self) -> timedelta:
        """The life of a certificate whose request names none."""
        return timedelta(seconds=self.default_lifetime_seconds)

    @property
    def maximum_lifetime(self) -> timedelta:
        """The longest life that a request may name."""
        return timedelta(seconds=self.maximum_lifetime_seconds)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Join tokens: whom they are for, and how long they are good for."""

    audience: str = "istio-ca"
    lifetime_seconds: int = 600

    def __post_init__(self) -> None:
        _positive("lifetime_seconds", self.lifetime_seconds)

    @property
    def lifetime(self) -> timedelta:
        """How long a token is good for."""
        return timedelta(seconds=self.lifetime_seconds)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file. Directories under ``state`` belong to one concern each."""

    trust_domain: str = "cluster.local"
    cluster_id: str = "mesh1"
    listen: Listen = field(default_factory=Listen)
    server_names: tuple[str, ...] = ("istiod.istio-system.svc",)
    objects: Path = Path("/etc/mesh-control/objects")
    state: Path = Path("/var/lib/mesh-control")
    registration: Registration = field(default_factory=Registration)
    certificates: Certificates = field(default_factory=Certificates)
    tokens: Tokens = field(default_factory=Tokens)
    auto_addresses: str = "240.240.0.0/16"

    def __post_init__(self) -> None:
        if not _TRUST_DOMAIN.fullmatch(self.trust_domain):
            raise ValueError(
                f"trust_domain: expected a name in lower case, found {self.trust_domain!r}"
            )
        if not self.server_names:
            raise ValueError("server_names: expected at least one DNS name or IP address")
        for name in self.server_names:
            if not _is_ip(name) and not _NAME.fullmatch(name):
                raise ValueError(f"server_names: expected DNS names and IPs, found {name!r}")
        try:
            ipaddress.IPv4Network(self.auto_addresses)
        except ValueError as error:
            raise ValueError(f"auto_addresses: expected an IPv4 network: {error}") from error

    @property
    def server_dns(self) -> tuple[str, ...]:
        """The names of the serving certificate that are DNS names."""
        return tuple(name for name in self.server_names if not _is_ip(name))

    @property
    def server_ips(self) -> tuple[str, ...]:
        """The names of the serving certificate that are IP addresses."""
        return tuple(name for name in self.server_names if _is_ip(name))


def load(path: Path = DEFAULT_PATH) -> Settings:
    """Read the file; ConfigError names it, the place in it, what was found and expected."""
    data = load_yaml(path)
    return parse(Settings, {} if data is None else data, str(path))


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _positive(name: str, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{name}: expected more than 0, found {value}")
