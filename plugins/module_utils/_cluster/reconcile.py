# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Inventory and registry side by side: what differs, and what of it may go. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.liveness import (
    Evidence,
    judge,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import Workload


@dataclass(frozen=True)
class Host:
    """A host of the inventory, as the filter hybrid.mesh.member gives it.

    ``address`` is empty while neither the inventory nor the host itself has told it.
    """

    name: str
    namespace: str
    group: str
    address: str
    network: str
    labels: dict[str, str]
    service_account: str


@dataclass(frozen=True)
class Selector:
    """What a Service or a ServiceEntry selects its workloads by."""

    owner: str  # "Service api", "ServiceEntry api"
    namespace: str
    labels: dict[str, str]


@dataclass(frozen=True)
class Superfluous:
    """An entry that no host of the inventory accounts for.

    ``proof`` says why it may go; without one, ``kept`` says why it stays.
    """

    entry: Workload
    proof: str | None
    kept: str


@dataclass(frozen=True)
class Wrong:
    """An entry of a host that is not as the inventory says, in one field."""

    entry: Workload
    host: Host
    field: str
    expected: t.Any
    found: t.Any


@dataclass(frozen=True)
class Report:
    """Everything that differs."""

    unregistered: list[Host]
    unknown: list[Host]  # nobody told their addresses
    superfluous: list[Superfluous]
    duplicates: list[list[Workload]]  # of one address on one network
    wrong: list[Wrong]
    unselected: list[tuple[Workload, str]]  # entry, and what comes closest

    @property
    def consistent(self) -> bool:
        """Whether nothing differs."""
        return not (
            self.unregistered
            or self.unknown
            or self.superfluous
            or self.duplicates
            or self.wrong
            or self.unselected
        )


def read_host(index: int, values: t.Mapping[str, t.Any]) -> Host | None:
    """A host from a module's option; None for one that is in no group and never registers.

    Raises ValueError naming the host and what it lacks.
    """
    name = str(values.get("name") or f"hosts[{index}]")
    if not values.get("group"):
        return None
    for key in ("namespace", "network"):
        if not values.get(key):
            raise ValueError(f"{name}: {key}: expected a value, found none")
    return Host(
        name=name,
        namespace=str(values["namespace"]),
        group=str(values["group"]),
        address=str(values.get("address") or ""),
        network=str(values["network"]),
        labels={str(k): str(v) for k, v in (values.get("labels") or {}).items()},
        service_account=str(values.get("service_account") or ""),
    )


def compare(
    hosts: t.Sequence[Host],
    entries: t.Sequence[Workload],
    selectors: t.Sequence[Selector] | None,
    evidence: Evidence,
    made_by_us: t.Callable[[Workload], bool],
) -> Report:
    """Compare the hosts with all entries of their namespaces.

    An entry that may be of a host whose address nobody told stays.
    ``selectors`` is None where Services could not be listed. ``made_by_us`` says of an entry that
    did not register itself whether it was made for a host of the inventory.
    """
    groups = {(host.namespace, host.group) for host in hosts}
    by_place = {(host.namespace, host.address): host for host in hosts if host.address}
    unknown = [host for host in hosts if not host.address]
    own: list[tuple[Workload, Host]] = []
    superfluous: list[Superfluous] = []
    for entry in entries:
        host = by_place.get((entry.namespace, entry.address))
        if host is not None and entry.group in ("", host.group):
            own.append((entry, host))
        elif entry.group and (entry.namespace, entry.group) in groups:
            found = Superfluous(entry, *judge(entry, evidence))
            superfluous.append(_perhaps_of(unknown, found))
        elif not entry.group and made_by_us(entry):
            superfluous.append(_perhaps_of(unknown, _made(entry)))
    registered = {host.name for _entry, host in own}
    return Report(
        unregistered=[host for host in hosts if host.address and host.name not in registered],
        unknown=unknown,
        superfluous=superfluous,
        duplicates=_duplicates(entries),
        wrong=[fault for entry, host in own for fault in _faults(entry, host)],
        unselected=[] if selectors is None else _unselected(own, selectors),
    )


def _made(entry: Workload) -> Superfluous:
    if entry.health == "healthy":
        return Superfluous(entry, None, "istiod says that it is healthy: it is alive")
    return Superfluous(entry, "it was made from the inventory, which no longer has it", "")


def _perhaps_of(unknown: t.Iterable[Host], found: Superfluous) -> Superfluous:
    """It stays where it may be the entry of a host whose address nobody told."""
    place = found.entry.namespace
    names = [
        host.name
        for host in unknown
        if host.namespace == place and found.entry.group in ("", host.group)
    ]
    if not names:
        return found
    kept = f"it may be of {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
    return Superfluous(found.entry, None, f"{kept}, whose address is not known")


def _duplicates(entries: t.Sequence[Workload]) -> list[list[Workload]]:
    places: dict[tuple[str, str], list[Workload]] = {}
    for entry in entries:
        if entry.address:
            places.setdefault((entry.address, entry.network), []).append(entry)
    return [found for _place, found in sorted(places.items()) if len(found) > 1]


def _faults(entry: Workload, host: Host) -> t.Iterator[Wrong]:
    for label, value in sorted(host.labels.items()):
        if entry.labels.get(label) != value:
            yield Wrong(entry, host, f"labels.{label}", value, entry.labels.get(label))
    for field in ("network", "service_account"):
        expected, found = getattr(host, field), getattr(entry, field)
        if expected and expected != found:
            yield Wrong(entry, host, field, expected, found)


def _unselected(
    own: t.Sequence[tuple[Workload, Host]], selectors: t.Sequence[Selector]
) -> list[tuple[Workload, str]]:
    found = []
    for entry, _host in own:
        if not entry.ports:
            continue  # it serves nothing: a host that only calls
        near = [s for s in selectors if s.namespace == entry.namespace]
        if not any(s.labels.items() <= entry.labels.items() for s in near):
            found.append((entry, _closest(entry, near)))
    return found


def _closest(entry: Workload, selectors: t.Sequence[Selector]) -> str:
    if not selectors:
        return f"no Service and no ServiceEntry of {entry.namespace} selects workloads"
    best = min(selectors, key=lambda s: (len(s.labels.items() - entry.labels.items()), s.owner))
    lacking = ", ".join(f"{k}={v}" for k, v in sorted(best.labels.items() - entry.labels.items()))
    return f"{best.owner} would, with {lacking}"
