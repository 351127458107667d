# SPDX-License-Identifier: Apache-2.0
"""The ``dns`` section of the agent's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mesh_agent.dns.names import to_wire
from mesh_agent.dns.resolvconf import Upstream


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """How names are resolved on this host."""

    enabled: bool = True
    """Whether the agent answers DNS at all."""

    upstreams: tuple[str, ...] = ()
    """Resolvers for names outside the mesh, ``ADDRESS`` or ``ADDRESS:PORT`` (``[ADDRESS]:PORT``
    for IPv6). Empty: those of ``resolv_conf``, followed when the file changes."""

    forward_timeout_seconds: float = 2.0
    """Seconds that one upstream has for its answer. A client waits at most twice as long."""

    search_domain: str | None = None
    """The domain that programs append to short names. None: the first one of ``resolv_conf``."""

    resolv_conf: Path = Path("/etc/resolv.conf")
    """The host's resolver configuration, see resolv.conf(5)."""

    max_forwards: int = 512
    """Questions waiting for upstreams at one time; more get SERVFAIL at once. Each takes one or
    two file descriptors."""

    max_tcp_connections: int = 128
    """Clients connected by TCP at one time; more are closed at once."""

    tcp_idle_seconds: float = 10.0
    """Seconds after which a TCP client that asks nothing is closed."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        for index, upstream in enumerate(self.upstreams):
            try:
                Upstream.parse(upstream)
            except ValueError as error:
                raise ValueError(f"upstreams[{index}]: {error}") from error
        if self.search_domain is not None:
            try:
                to_wire(self.search_domain)
            except ValueError as error:
                raise ValueError(f"search_domain: {error}") from error
        for name in ("forward_timeout_seconds", "tcp_idle_seconds"):
            if getattr(self, name) > 0:  # which not-a-number is not
                continue
            raise ValueError(f"{name}: expected more than 0, found {getattr(self, name)}")
        for name in ("max_forwards", "max_tcp_connections"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, found {getattr(self, name)}")
