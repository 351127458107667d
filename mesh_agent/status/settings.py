# SPDX-License-Identifier: Apache-2.0
"""The ``status`` section of the agent's configuration."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from mesh_agent.identity.settings import Endpoint
from mesh_agent.redirect.ports import MESH_PORTS


@dataclass(frozen=True, slots=True)
class StatusSettings:
    """Where status and metrics are served (HTTP)."""

    port: int = 15020
    address: str = "0.0.0.0"  # noqa: S104 - scraped from elsewhere, as Istio's

    application_port: int | None = None
    """Where the application gives metrics on loopback, to be scraped with the proxy's."""

    application_path: str = "/metrics"
    """Path of the application's metrics."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if not 0 < self.port < 65536:
            raise ValueError(f"port: expected a port between 1 and 65535, found {self.port}")
        application = self.application_port
        if application is not None and not 0 < application < 65536:
            raise ValueError(f"application_port: expected a port, found {application}")
        if application in (self.port, *MESH_PORTS):  # would ask itself for ever
            raise ValueError(
                f"application_port: expected a port of the application, found {application}, "
                "which is the mesh's own"
            )
        if not self.application_path.startswith("/"):
            raise ValueError(
                f"application_path: expected a path that begins with /, "
                f"found {self.application_path!r}"
            )
        try:
            ipaddress.ip_address(self.address)
        except ValueError as error:
            raise ValueError(f"address: expected an IP address, found {self.address!r}") from error

    @property
    def local(self) -> Endpoint:
        """Where this host itself asks for it."""
        own = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound
        return Endpoint(own.get(self.address, self.address), self.port)
