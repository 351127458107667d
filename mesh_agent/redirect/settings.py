# SPDX-License-Identifier: Apache-2.0
"""The ``redirect`` section of the agent's configuration."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

_INTERFACE = re.compile(r"[^\s/\"*]{1,15}|[^\s/\"*]{1,14}\*")


@dataclass(frozen=True, slots=True)
class RedirectSettings:
    """What is captured on this host and what is not."""

    mode: Literal["transparent", "explicit", "none"] = "transparent"
    """``transparent``: connections are captured by nftables. ``explicit``: programs call Envoy's
    listeners on loopback themselves. ``none``: nothing. Only the first one makes a table."""

    inbound: bool = True
    """Whether TCP connections from other hosts go to Envoy."""

    outbound: bool = True
    """Whether TCP connections of this host's programs go to Envoy."""

    dns: bool = True
    """Whether questions to the nameservers of resolv.conf go to the agent."""

    exclude_inbound_ports: tuple[int, ...] = (22,)
    """TCP ports of this host that are reached directly. Port 22, sshd's ports and the mesh's own
    are always among them."""

    include_inbound_ports: tuple[int, ...] | None = None
    """The only TCP ports of this host that are reached through Envoy, also from its own containers;
    None: all but the excluded ones. On a Kubernetes node: those of its workload."""

    include_outbound_cidrs: tuple[str, ...] = ()
    """The only networks that are called through Envoy, none: all but the excluded ones. On a
    Kubernetes node, none means the addresses that the mesh makes itself."""

    exclude_outbound_ports: tuple[int, ...] = ()
    """TCP ports of other hosts that are called directly."""

    exclude_outbound_cidrs: tuple[str, ...] = ()
    """Networks (``10.0.0.0/8``, ``fd00::/8``) that are called directly. Link-local ones always
    are: cloud metadata must not depend on Envoy."""

    exclude_interfaces: tuple[str, ...] = ()
    """Interfaces (``eth1``, ``tun*``) that are left alone in both directions."""

    exclude_users: tuple[str, ...] = ()
    """Users (names or numbers) whose connections and questions are left alone."""

    ipv6: Literal["auto", True, False] = "auto"
    """Whether IPv6 is captured. ``auto``: when the host has IPv6 addresses, in the mesh or not."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        for name in ("exclude_inbound_ports", "include_inbound_ports", "exclude_outbound_ports"):
            for index, port in enumerate(getattr(self, name) or ()):
                if not 0 < port < 65536:
                    raise ValueError(f"{name}[{index}]: expected a port, found {port}")
        for name in ("include_outbound_cidrs", "exclude_outbound_cidrs"):
            for index, cidr in enumerate(getattr(self, name)):
                try:
                    ipaddress.ip_network(cidr)
                except ValueError as error:
                    raise ValueError(f"{name}[{index}]: {error}") from error
        for index, interface in enumerate(self.exclude_interfaces):
            if not _INTERFACE.fullmatch(interface):
                raise ValueError(
                    f"exclude_interfaces[{index}]: expected an interface's name of at most 15 "
                    f"characters, or the beginning of one and *, found {interface!r}"
                )
