# SPDX-License-Identifier: Apache-2.0
"""resolv.conf(5): where the host asks and what it appends to short names (pure)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

DNS_PORT: Final = 53
_DEFAULT_NAMESERVER: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A resolver: ``address`` is a literal IPv4 or IPv6 address, with ``%zone`` if link-local."""

    address: str
    port: int = DNS_PORT

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.is_ipv6 else f"{self.address}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 one."""
        return ":" in self.address

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """Read ``ADDRESS``, ``ADDRESS:PORT`` or ``[ADDRESS]:PORT``; ValueError says what is wrong.

        Host names are not taken: they would have to be resolved first.
        """
        address, port = text, str(DNS_PORT)
        if text.startswith("["):
            address, bracket, rest = text[1:].partition("]")
            if not bracket or rest[:1] not in ("", ":"):
                raise ValueError(f"expected [ADDRESS]:PORT, found {text!r}")
            port = rest[1:] or port
        elif text.count(":") == 1:
            address, _unused, port = text.partition(":")
        try:
            number = int(port)
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ValueError(
                f"expected an IP address, with or without port, found {text!r}"
            ) from error
        if not 0 < number < 65536:
            raise ValueError(f"expected a port from 1 to 65535, found {text!r}")
        return cls(address, number)


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """What matters here of a resolv.conf, in its order."""

    nameservers: tuple[Upstream, ...] = ()
    search: tuple[str, ...] = ()

    def upstreams(self) -> tuple[Upstream, ...]:
        """Return the nameservers; without any the C library asks this host, and so do we."""
        return self.nameservers or (Upstream(_DEFAULT_NAMESERVER),)


def parse_resolv_conf(text: str) -> ResolvConf:
    """Read a resolv.conf as the C library does: what it does not understand it passes over.

    The last ``search`` or ``domain`` line counts. ``options`` (ndots, timeout, attempts, ...) steer
    the programs' own resolvers and mean nothing to a forwarder.
    """
    nameservers: dict[Upstream, None] = {}
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or line[0] in "#;":
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver":
            try:
                ipaddress.ip_address(values[0])
            except ValueError:
                continue
            nameservers[Upstream(values[0])] = None
        elif keyword == "search":
            search = tuple(value for value in values if value != ".")
        elif keyword == "domain":
            search = tuple(value for value in values[:1] if value != ".")
    return ResolvConf(tuple(nameservers), search)
