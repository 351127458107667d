# SPDX-License-Identifier: Apache-2.0
"""The ``control_plane`` and ``identity`` sections of the agent's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host (address or name) and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read ``HOST:PORT`` or ``[ADDRESS]:PORT``; ValueError says what was expected."""
        host, _unused, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""
        if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65536:
            raise ValueError(f"expected HOST:PORT or [ADDRESS]:PORT, found {text!r}")
        return cls(host, int(port))


@dataclass(frozen=True, slots=True)
class ControlPlaneSettings:
    """Where the control plane is and how it is known."""

    addresses: tuple[str, ...]
    """``HOST:PORT`` of each instance; they are tried in turn."""

    server_name: str = "istiod.istio-system.svc"
    """The name that its certificate must have."""

    root_certificate: Path = Path("/etc/mesh-agent/root-cert.pem")
    """The authorities that may vouch for it, PEM."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if not self.addresses:
            raise ValueError("addresses: expected at least one HOST:PORT, found none")
        for index, text in enumerate(self.addresses):
            try:
                Endpoint.parse(text)
            except ValueError as error:
                raise ValueError(f"addresses[{index}]: {error}") from error

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The addresses, parsed."""
        return tuple(Endpoint.parse(text) for text in self.addresses)


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """The host's certificate."""

    lifetime_seconds: int = 86400
    """How long a certificate is asked for; the control plane may give less."""

    rotate_ratio: float = 0.5
    """Share of a certificate's life after which it is renewed."""

    rotate_jitter: float = 0.1
    """Largest random shift of that share, so that hosts do not renew together."""

    token: Path = Path("/var/lib/mesh-agent/join-token")
    """The join token for a host without a valid certificate; removed after its use."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if self.lifetime_seconds < 1:
            raise ValueError(
                f"lifetime_seconds: expected at least 1, found {self.lifetime_seconds}"
            )
        if not 0 < self.rotate_ratio < 1:
            raise ValueError(
                f"rotate_ratio: expected a number between 0 and 1, found {self.rotate_ratio}"
            )
        if not 0 <= self.rotate_jitter < min(self.rotate_ratio, 1 - self.rotate_ratio):
            raise ValueError(
                "rotate_jitter: expected less than rotate_ratio and than what is left of 1 after "
                f"it, found {self.rotate_jitter}"
            )
