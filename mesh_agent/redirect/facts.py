# SPDX-License-Identifier: Apache-2.0
"""What the host is like, as far as redirection depends on it."""

from __future__ import annotations

import pwd
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh_agent.dns.resolvconf import parse_resolv_conf
from mesh_agent.redirect.plan import HostFacts
from mesh_agent.redirect.settings import RedirectSettings
from mesh_core.errors import MeshError

AGENT_USER: Final = "mesh-agent"
PROXY_USER: Final = "mesh-proxy"

_ADDRESS = re.compile(r"[0-9a-fA-F.:]+(?:%[A-Za-z0-9_.-]{1,15})?")
_DOCKER_NETWORK = re.compile(r"br-[0-9a-f]{12}")
_SSHD = re.compile(
    r"^\s*(?:Port[\s=]+(?P<port>\d+)|ListenAddress[\s=]+\S*?[\].0-9]:(?P<listen>\d+)(?:\s|$))",
    re.IGNORECASE | re.MULTILINE,
)
_SSH_SOCKET = re.compile(r"^\s*ListenStream\s*=\s*(?:\S*:)?(?P<port>\d+)\s*$", re.MULTILINE)


def user_id(name: str) -> int:
    """Return the number of the user ``name`` (a name or a number); MeshError without such a one."""
    if name.isdecimal():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise MeshError(f"user {name!r}: expected a user of this host, found none") from None


@dataclass(frozen=True, slots=True)
class Host:
    """Where the facts are; other places in tests."""

    root: Path = Path("/")
    user_id: Callable[[str], int] = user_id

    def facts(self, settings: RedirectSettings, addresses: Sequence[str]) -> HostFacts:
        """Look. ``addresses`` are the workload's. MeshError when a user is missing."""
        return HostFacts(
            agent_uid=self.user_id(AGENT_USER),
            proxy_uid=self.user_id(PROXY_USER),
            excluded_uids=tuple(self.user_id(name) for name in settings.exclude_users),
            nameservers=self._nameservers(),
            ssh_ports=tuple(sorted(set(self._ssh_ports()))),
            bridges=self._bridges(),
            addresses=tuple(addresses),
            ipv6=self.has_ipv6(),
        )

    def has_ipv6(self) -> bool:
        """Whether this host has IPv6 addresses, if only on loopback."""
        return bool(_read(self.root / "proc/net/if_inet6").strip())

    def can_ipv6(self) -> bool:
        """Whether the kernel has IPv6, so that addresses may come at any time.

        A program can listen to them before they are there, also where sysctl keeps them away.
        """
        return (self.root / "proc/net/if_inet6").exists()

    def _nameservers(self) -> tuple[str, ...]:
        found = parse_resolv_conf(_read(self.root / "etc/resolv.conf")).upstreams()
        return tuple(server.address for server in found if _ADDRESS.fullmatch(server.address))

    def _ssh_ports(self) -> Iterator[int]:
        """Yield the ports of sshd's configuration; sshd itself cannot be asked without more rights.

        Every file is read that may be included: a port too many does no harm.
        """
        directory = self.root / "etc/ssh"
        for path in (directory / "sshd_config", *sorted(directory.glob("sshd_config.d/*.conf"))):
            for found in _SSHD.finditer(_read(path)):
                yield int(found["port"] or found["listen"])
        for parent in ("etc/systemd/system", "run/systemd/system"):
            for unit in ("ssh.socket", "sshd.socket"):
                paths = [self.root / parent / unit]
                paths += sorted((self.root / parent).glob(f"{unit}.d/*.conf"))
                for path in paths:
                    for found in _SSH_SOCKET.finditer(_read(path)):
                        yield int(found["port"])

    def _bridges(self) -> tuple[str, ...]:
        """Return the bridges of Docker's own networks, whose names no pattern of nft can hold."""
        found = (self.root / "sys/class/net").glob("br-*")
        return tuple(sorted(p.name for p in found if _DOCKER_NETWORK.fullmatch(p.name)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
