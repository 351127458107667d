# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Hosts, the networks that they stand on, and which of them a call ended at."""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from .target import parse_target

CONTROL_PLANE = "control_plane"
WORKLOAD = "workload"
GATEWAY = "gateway"
OUTSIDER = "outsider"

#: The group that makes a host what it is, the most telling first.
_KINDS = (
    ("mesh_gateways", GATEWAY),
    ("mesh_control_plane", CONTROL_PLANE),
    ("mesh_workloads", WORKLOAD),
    ("mesh", WORKLOAD),
)


@dataclass(frozen=True)
class Host:
    """identity: NAMESPACE/SERVICE-ACCOUNT, or empty; subnets: of its interfaces, as CIDRs."""

    name: str
    kind: str
    networks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    identity: str = ""


def read_host(name: str, groups: t.Collection[str], variables: t.Mapping[str, t.Any]) -> Host:
    """A host as the inventory describes it, and as its facts do if they were gathered."""
    kind = next((kind for group, kind in _KINDS if group in groups), OUTSIDER)
    interfaces = list(_interfaces(variables.get("ansible_facts") or {}))
    legs = variables.get("mesh_gateway_addresses") or {}
    own = [variables.get("mesh_address"), variables.get("ansible_host"), *legs.values()]
    own += variables.get("mesh_extra_addresses") or []
    addresses = [str(_address(address)) for address in own if _address(address)]
    addresses += [str(interface.ip) for interface in interfaces]
    networks = {str(name) for name in (variables.get("mesh_network"), *legs) if name}
    account = variables.get("mesh_service_account") or variables.get("mesh_workload_group")
    namespace = variables.get("mesh_namespace")
    return Host(
        name=name,
        kind=kind,
        networks=tuple(sorted(networks)) if kind != OUTSIDER else (),
        addresses=tuple(dict.fromkeys(addresses)),
        subnets=tuple(dict.fromkeys(str(interface.network) for interface in interfaces)),
        identity=f"{namespace}/{account}" if kind != GATEWAY and namespace and account else "",
    )


def place(hosts: t.Sequence[Host]) -> list[Host]:
    """Gives gateways and hosts outside of the mesh the networks that they really stand on.

    A network's subnets are those in which its own hosts have addresses; a gateway belongs to
    every network of which it has a subnet.
    """
    subnets: dict[str, set[str]] = {}
    for host in hosts:
        if host.kind not in (GATEWAY, OUTSIDER):
            for network in host.networks:
                subnets.setdefault(network, set()).update(_subnets_in_use(host))
    placed = []
    for host in hosts:
        networks = set(host.networks)
        if host.kind in (GATEWAY, OUTSIDER):
            networks |= {name for name, used in subnets.items() if used & set(host.subnets)}
        placed.append(_with_networks(host, tuple(sorted(networks))))
    return placed


def owners(hosts: t.Sequence[Host], endpoints: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
    """Serial numbers of certificates to the hosts that showed them, as direct calls tell."""
    shown: dict[str, set[str]] = {}
    for endpoint in endpoints:
        if endpoint["path"] == "direct" and endpoint["serial"]:
            names = _having(hosts, {_host_part(endpoint["upstream"])})
            shown.setdefault(str(endpoint["serial"]), set()).update(names)
    return {serial: names.pop() for serial, names in shown.items() if len(names) == 1}


def landings(
    hosts: t.Sequence[Host],
    endpoints: t.Iterable[t.Mapping[str, t.Any]],
    owner: t.Mapping[str, str],
) -> dict[str, int]:
    """How many repetitions of a call each host answered: by certificate, or by address."""
    counts: dict[str, int] = {}
    for endpoint in endpoints:
        direct = endpoint["path"] == "direct"
        names = _having(hosts, {_host_part(endpoint["upstream"])}) if direct else []
        name = owner.get(str(endpoint["serial"])) or "".join(names[:1])
        if name:
            counts[name] = counts.get(name, 0) + int(endpoint["count"])
    return counts


def destinations(
    hosts: t.Sequence[Host], call: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]
) -> list[str]:
    """Names of the hosts that a call was for, where none is known to have answered it.

    What tells best comes first: what mesh_calls says, the peer's identity, the address in the
    URL, the name in the URL. Empty if nothing does.
    """
    if call.get("to"):
        return list(call["to"])
    peers = {identity_of(end["peer"] or "") for end in result.get("endpoints") or []} - {""}
    target = parse_target(str(call["url"]))
    return (
        [host.name for host in hosts if host.identity in peers]
        or _having(hosts, {target.host})
        or _named(hosts, target.host)
    )


def identity_of(spiffe: str) -> str:
    """NAMESPACE/SERVICE-ACCOUNT of spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT."""
    parts = spiffe.split("/")
    if len(parts) == 7 and parts[0] == "spiffe:" and (parts[3], parts[5]) == ("ns", "sa"):
        return f"{parts[4]}/{parts[6]}"
    return ""


def gateway_name(hosts: t.Sequence[Host], path: str) -> str:
    """The host behind a result's path ``gateway ADDRESS``; empty for none."""
    kind, _space, address = path.partition(" ")
    return (_having(hosts, {address}) or [""])[0] if kind == "gateway" else ""


def _host_part(upstream: t.Any) -> str:
    return str(upstream).rpartition(":")[0].strip("[]")


def _having(hosts: t.Sequence[Host], addresses: t.Collection[str]) -> list[str]:
    wanted = {_address(address) for address in addresses} - {None}
    return [
        host.name for host in hosts if wanted & {_address(address) for address in host.addresses}
    ]


def _named(hosts: t.Sequence[Host], name: str) -> list[str]:
    """api.shop.svc.cluster.local is a host api, or all hosts with the identity shop/api."""
    labels = [*name.split("."), ""]
    by_name = [host.name for host in hosts if host.name in (name, labels[0])]
    identity = f"{labels[1]}/{labels[0]}"
    return by_name or [host.name for host in hosts if host.identity == identity]


def _subnets_in_use(host: Host) -> set[str]:
    networks = [ipaddress.ip_network(subnet) for subnet in host.subnets]
    addresses = {_address(address) for address in host.addresses[:1]}
    return {str(network) for network in networks if any(a in network for a in addresses if a)}


def _with_networks(host: Host, networks: tuple[str, ...]) -> Host:
    return Host(host.name, host.kind, networks, host.addresses, host.subnets, host.identity)


def _address(text: t.Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def _interfaces(
    facts: t.Mapping[str, t.Any],
) -> t.Iterator[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    """Addresses with their subnets from the facts of ansible.builtin.setup."""
    for name in sorted(facts.get("interfaces") or []):
        fact = facts.get(str(name).replace("-", "_").replace(".", "_").replace(":", "_"))
        if not isinstance(fact, t.Mapping):
            continue
        entries = [fact.get("ipv4") or {}, *(fact.get("ipv4_secondaries") or [])]
        entries += fact.get("ipv6") or []
        for entry in entries:
            prefix = entry.get("prefix") or entry.get("netmask")
            if not entry.get("address") or not prefix:
                continue
            interface = ipaddress.ip_interface(f"{entry['address']}/{prefix}")
            if not interface.is_loopback and not interface.is_link_local:
                yield interface
