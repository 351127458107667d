# SPDX-License-Identifier: Apache-2.0
"""The control plane's name table as an index: which host does a name mean (pure).

The rules are those of Istio's agent (``pkg/dns/client/dns.go``), with these differences:

- where two hosts have a right to one name, a full name wins over a short one and otherwise the
  alphabet decides, so that the answer does not depend on the order of a map;
- names with the host's search domain appended are recognised when they are asked for and not
  stored, so that the index does not depend on resolv.conf.

Names are lower-case wire-form bytes throughout, see ``names``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mesh_agent.dns.names import ROOT, parent, reverse_name, strip_suffix, to_wire

_KUBERNETES = "Kubernetes"


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One entry of the name table as it came: a host name, its addresses, where it is from."""

    host: str
    addresses: tuple[str, ...]
    registry: str = ""
    short_name: str = ""
    namespace: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """A host with its canonical name and packed addresses (4 bytes each, 16 bytes each)."""

    name: bytes
    ipv4: tuple[bytes, ...]
    ipv6: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The host that a name means; ``alias`` is set when the name is only an alias of that name."""

    host: Host
    alias: bytes | None = None


@dataclass(frozen=True, slots=True)
class NameIndex:
    """What the mesh knows; immutable, replaced as a whole.

    ``names`` full and short names; ``wildcards`` the part after ``*.``; ``pointers`` reverse names
    and the canonical name of whom they belong to; ``hosts`` the number of hosts; ``skipped`` host
    names that cannot stand in DNS.
    """

    names: dict[bytes, Host] = field(default_factory=dict)
    wildcards: dict[bytes, Host] = field(default_factory=dict)
    pointers: dict[bytes, bytes] = field(default_factory=dict)
    hosts: int = 0
    skipped: tuple[str, ...] = ()

    def lookup(self, name: bytes, search: bytes | None = None) -> Match | None:
        """Return whom ``name`` means, or None when the mesh does not know it.

        ``search`` is the domain that programs append to short names: with it, ``api.SEARCH`` is an
        alias of what ``api`` means. Only the first search domain is given here, as a question for
        another one is only asked when this one did not answer.
        """
        if host := self.names.get(name):
            return Match(host)
        base = strip_suffix(name, search) if search else None
        if base is not None and search and strip_suffix(base, search) is not None:
            base = None  # appended twice: that is nobody's short name
        if base is not None and (host := self.names.get(base)):
            return Match(host, host.name)
        return self._wildcard(name, base) if self.wildcards else None

    def _wildcard(self, name: bytes, base: bytes | None) -> Match | None:
        rest, rest_of_base = name, base or ROOT
        while rest != ROOT:
            rest = parent(rest)
            if host := self.wildcards.get(rest):
                return Match(host)
            if rest_of_base != ROOT:
                rest_of_base = parent(rest_of_base)
                if host := self.wildcards.get(rest_of_base):
                    return Match(host, base)
        return None


def build_index(
    records: Iterable[HostRecord], *, namespace: str, domain: str = "cluster.local"
) -> NameIndex:
    """Index ``records`` for a workload in ``namespace``; ``domain`` is the mesh's DNS domain."""
    names: dict[bytes, Host] = {}
    short: dict[bytes, Host] = {}
    wildcards: dict[bytes, Host] = {}
    owners: dict[bytes, tuple[bool, int, bytes]] = {}
    skipped: list[str] = []
    hosts = 0
    for record in sorted(records, key=lambda record: record.host):
        kubernetes = record.registry == _KUBERNETES
        ipv4, ipv6 = _addresses(record.addresses)
        if not (ipv4 or ipv6) or (kubernetes and record.host.endswith(".")):
            continue
        try:
            host = Host(to_wire(record.host), tuple(ipv4.values()), tuple(ipv6.values()))
        except ValueError:
            skipped.append(record.host)
            continue
        hosts += 1
        if record.host.startswith("*."):
            wildcards.setdefault(parent(host.name), host)
            continue
        names.setdefault(host.name, host)
        if kubernetes:
            for text in _short_names(record, namespace, domain):
                try:
                    short.setdefault(to_wire(text), host)
                except ValueError:
                    skipped.append(text)
        for reverse in (*ipv4, *ipv6):
            # Services before other hosts, then the shortest name: one address, one answer.
            claim = (not kubernetes, len(host.name), host.name)
            owners[reverse] = min(owners.get(reverse, claim), claim)
    pointers = {reverse: owner[2] for reverse, owner in owners.items()}
    return NameIndex(short | names, wildcards, pointers, hosts, tuple(skipped))


def _short_names(record: HostRecord, namespace: str, domain: str) -> Iterator[str]:
    services = f"svc.{domain}"
    if not record.host.lower().endswith(services):
        return
    yield f"{record.short_name}.{record.namespace}"
    yield f"{record.short_name}.{record.namespace}.svc"
    yield from record.alternatives
    if record.namespace == namespace:
        yield record.short_name


def _addresses(texts: Iterable[str]) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """Return reverse name -> packed address for IPv4 and for IPv6; others are left out."""
    ipv4: dict[bytes, bytes] = {}
    ipv6: dict[bytes, bytes] = {}
    for text in texts:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        (ipv4 if address.version == 4 else ipv6)[reverse_name(address)] = address.packed
    return ipv4, ipv6
