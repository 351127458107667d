# SPDX-License-Identifier: Apache-2.0
"""The ``status`` section of the agent's configuration."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mesh_agent.identity.settings import Endpoint


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Where status and metrics are served (HTTP)."""

    port: int = 15020
    address: str = "0.0.0.0"  # noqa: S104 - scraped from elsewhere, as Istio's

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if not 0 < self.port < 65536:
            raise ValueError(f"port: expected a port between 1 and 65535, found {self.port}")
        try:
            ipaddress.ip_address(self.address)
        except ValueError as error:
            raise ValueError(f"address: expected an IP address, found {self.address!r}") from error

    @property
    def local(self) -> Endpoint:
        """Where this host itself asks for it."""
        own = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound
        return Endpoint(own.get(self.address, self.address), self.port)
