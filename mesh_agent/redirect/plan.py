# SPDX-License-Identifier: Apache-2.0
"""What is redirected on this host: settings and facts to data (pure)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mesh_agent.redirect.ports import MESH_PORTS, SSH_PORT
from mesh_agent.redirect.settings import RedirectSettings

CONTAINER_INTERFACES: Final = ("docker*", "podman*", "cni*", "nerdctl*")
"""Bridges of container engines: what comes from them is this host's own traffic."""

_LINK_LOCAL: Final = ("169.254.0.0/16", "fe80::/10")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host is like. ``nameservers`` are addresses;
    ``bridges`` further interfaces of container engines; ``addresses`` the workload's; ``ipv6``
    whether the host has IPv6 addresses at all, if only on loopback."""

    agent_uid: int
    proxy_uid: int
    excluded_uids: tuple[int, ...] = ()
    nameservers: tuple[str, ...] = ()
    ssh_ports: tuple[int, ...] = ()
    bridges: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Only:
    """Networks of either family."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outbound:
    """Calls of this host's programs, but for these ports and networks. With ``only``: calls to
    these networks and to no others, also where they are virtual addresses of Kubernetes."""

    ports: tuple[int, ...]
    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]
    only: Only | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """Calls from other hosts, but for those to these ports and from these interfaces. With
    ``only``: calls to these ports and to no others."""

    ports: tuple[int, ...]
    interfaces: tuple[str, ...]
    only: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Names:
    """Questions to these nameservers."""

    ipv4: tuple[str, ...]
    ipv6: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the table says. ``own_uids`` are never captured. ``notes`` are for the operator."""

    proxy_uid: int
    own_uids: tuple[int, ...]
    interfaces: tuple[str, ...]
    ipv6: bool
    inbound: Inbound | None
    outbound: Outbound | None
    names: Names | None
    notes: tuple[str, ...] = ()


def make_plan(settings: RedirectSettings, facts: HostFacts) -> Plan | None:
    """Return what to redirect, or None when nothing is."""
    if settings.mode != "transparent":
        return None
    names, notes = _names(settings, facts.nameservers) if settings.dns else (None, ())
    inbound = _inbound(settings, facts) if settings.inbound else None
    outbound = _outbound(settings) if settings.outbound else None
    if not (inbound or outbound or names):
        return None
    return Plan(
        proxy_uid=facts.proxy_uid,
        own_uids=_ports(facts.agent_uid, facts.proxy_uid, *facts.excluded_uids),
        interfaces=tuple(sorted(set(settings.exclude_interfaces))),
        ipv6=_ipv6(settings, facts),
        inbound=inbound,
        outbound=outbound,
        names=names,
        notes=notes,
    )


def _ipv6(settings: RedirectSettings, facts: HostFacts) -> bool:
    """By default wherever the host has IPv6, in the mesh or not: otherwise whoever calls over IPv6
    would get round the policies for its ports."""
    if settings.ipv6 == "auto":
        return facts.ipv6 or any(":" in address for address in facts.addresses)
    return settings.ipv6


def _inbound(settings: RedirectSettings, facts: HostFacts) -> Inbound | None:
    direct = _ports(SSH_PORT, *facts.ssh_ports, *MESH_PORTS, *settings.exclude_inbound_ports)
    if settings.include_inbound_ports is None:
        return Inbound(direct, (*CONTAINER_INTERFACES, *sorted(facts.bridges)))
    # Whoever names ports means them for containers of this host as well: they are peers.
    only = _ports(*(port for port in settings.include_inbound_ports if port not in direct))
    return Inbound(direct, (), only) if only else None


def _outbound(settings: RedirectSettings) -> Outbound:
    direct = [ipaddress.ip_network(n) for n in (*_LINK_LOCAL, *settings.exclude_outbound_cidrs)]
    named = [ipaddress.ip_network(n) for n in settings.include_outbound_cidrs]
    only = Only(_collapse(named, 4), _collapse(named, 6)) if named else None
    ports = _ports(*settings.exclude_outbound_ports)
    return Outbound(ports, _collapse(direct, 4), _collapse(direct, 6), only)


def _names(
    settings: RedirectSettings, nameservers: Iterable[str]
) -> tuple[Names | None, tuple[str, ...]]:
    """Choose the nameservers whose questions the agent takes.

    A resolver on this host asks others in turn, often those that stand beside it in resolv.conf.
    To capture these as well would lead its questions back to itself, by way of the agent.
    """
    notes: list[str] = []

    def leave(alone: list[str], why: str) -> None:
        if alone:
            notes.append(f"questions to {', '.join(alone)} are left alone: {why}")

    servers = list(dict.fromkeys(nameservers))
    local = [server for server in servers if _is_loopback(server)]
    if local:
        others = [server for server in servers if server not in local]
        leave(others, f"a resolver of this host ({', '.join(local)}) asks them")
        servers = local
    # What comes from a link-local address cannot be answered over loopback.
    link_local = [server for server in servers if ipaddress.ip_address(server).is_link_local]
    leave(link_local, "their addresses are link-local")
    servers = [server for server in servers if server not in link_local]
    ipv4 = tuple(server for server in servers if ":" not in server)
    ipv6 = tuple(server for server in servers if ":" in server)
    if settings.ipv6 is False:
        leave(list(ipv6), "IPv6 is off")
        ipv6 = ()
    if not (ipv4 or ipv6):
        return None, (*notes, "no nameserver to capture questions to: mesh names are not resolved")
    return Names(ipv4, ipv6), tuple(notes)


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _ports(*numbers: int) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))


def _collapse(networks: Iterable[Network], version: int) -> tuple[str, ...]:
    """Return the networks of one family without overlaps, which a set could not hold."""
    if version == 4:
        ipv4 = [n for n in networks if isinstance(n, ipaddress.IPv4Network)]
        return tuple(str(network) for network in ipaddress.collapse_addresses(ipv4))
    ipv6 = [n for n in networks if isinstance(n, ipaddress.IPv6Network)]
    return tuple(str(network) for network in ipaddress.collapse_addresses(ipv6))
