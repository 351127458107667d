# SPDX-License-Identifier: Apache-2.0
"""The ``health`` section of the agent's configuration: Istio's ReadinessProbe.

The names and defaults are those of the API (networking.istio.io, WorkloadGroup ``probe``), in the
spelling of this configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


def _check_port(port: int) -> None:
    if not 0 < port < 65536:
        raise ValueError(f"port: expected 1 to 65535, found {port}")


@dataclass(frozen=True, slots=True)
class HttpGet:
    """A GET request; answers of 200 to 399 are healthy."""

    port: int
    """TCP port of the application."""

    path: str = "/"
    """What is requested, with query."""

    scheme: Literal["http", "https", "HTTP", "HTTPS"] = "http"
    """With https the certificate is not checked, as in Kubernetes."""

    host: str | None = None
    """Address or name to connect to. None: the workload's first address."""

    headers: Mapping[str, str] = field(default_factory=dict)
    """Further request headers; ``Host`` may be among them."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        _check_port(self.port)
        if not self.path.startswith("/"):
            raise ValueError(f"path: expected it to begin with /, found {self.path!r}")


@dataclass(frozen=True, slots=True)
class TcpSocket:
    """A connection; being accepted is healthy."""

    port: int
    """TCP port of the application."""

    host: str | None = None
    """Address or name to connect to. None: the workload's first address."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        _check_port(self.port)


@dataclass(frozen=True, slots=True)
class Exec:
    """A program, run as the agent's user; exit status 0 is healthy."""

    command: tuple[str, ...]
    """Program and arguments; there is no shell."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        if not self.command or not self.command[0]:
            raise ValueError("command: expected a program, found nothing")


@dataclass(frozen=True, slots=True)
class Grpc:
    """The standard health service (grpc.health.v1) in plaintext; SERVING is healthy."""

    port: int
    """TCP port of the application."""

    service: str = ""
    """Whose health to ask for; empty: the whole server's."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        _check_port(self.port)


@dataclass(frozen=True, slots=True)
class ReadinessProbe:
    """One kind of probe and when it is made."""

    http_get: HttpGet | None = None
    """Exactly one of the four kinds is given."""

    tcp_socket: TcpSocket | None = None
    """See ``http_get``."""

    exec: Exec | None = None
    """See ``http_get``."""

    grpc: Grpc | None = None
    """See ``http_get``."""

    initial_delay_seconds: float = 0.0
    """Seconds before the first probe."""

    period_seconds: float = 10.0
    """Seconds from the end of a probe to the next one."""

    timeout_seconds: float = 1.0
    """Seconds after which a probe has failed."""

    success_threshold: int = 1
    """Successes in a row that make an unhealthy workload healthy."""

    failure_threshold: int = 3
    """Failures in a row that make a healthy workload unhealthy."""

    def __post_init__(self) -> None:
        """Check what types cannot say."""
        kinds = ("http_get", "tcp_socket", "exec", "grpc")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(kinds)}, found {' and '.join(given) or 'none'}"
            )
        if self.initial_delay_seconds < 0:
            raise ValueError(
                f"initial_delay_seconds: expected 0 or more, found {self.initial_delay_seconds}"
            )
        for name in ("period_seconds", "timeout_seconds"):
            if getattr(self, name) > 0:  # which not-a-number is not
                continue
            raise ValueError(f"{name}: expected more than 0, found {getattr(self, name)}")
        for name in ("success_threshold", "failure_threshold"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """How the application's health is found out."""

    probe: ReadinessProbe | None = None
    """None: health is not probed, and nothing is reported."""
