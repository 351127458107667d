# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What the picture shows: hosts as nodes, calls with the same fate between them as one arrow."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .results import Call, Report
from .topology import CONTROL_PLANE, GATEWAY, OUTSIDER, Host

#: A destination that is no host of the inventory.
ELSEWHERE = "elsewhere"
#: More hosts than this, and those alike are drawn as one node.
_HOST_LIMIT = 14
_RUN_LIMIT = 3


@dataclass(frozen=True)
class Node:
    """A host, or several that are alike; network: empty for those in none, or in several."""

    key: str
    title: str
    lines: tuple[str, ...]
    kind: str
    networks: tuple[str, ...]
    details: str


@dataclass(frozen=True)
class Arrow:
    """Calls from source to target by way of a gateway, if one is named; share: of their calls
    that ended at this target, if they ended at several.
    """

    source: str
    target: str
    gateway: str
    outcome: str
    ok: bool
    calls: tuple[Call, ...]
    share: int = 0

    @property
    def numbers(self) -> str:
        """Numbers of the calls: 7, 8."""
        return _ranges([call.number for call in self.calls])

    @property
    def what(self) -> str:
        """Their protocol, and how often it was spoken if more than once: http 31x."""
        schemes = "/".join(sorted({call.url.partition("://")[0] for call in self.calls}))
        count = sum(int(call.result["count"] or 0) for call in self.calls)
        return f"{schemes} {self.share or count}\u00d7" if count > len(self.calls) else schemes

    @property
    def secured(self) -> bool:
        """All of its calls showed the peer's identity over mutual TLS."""
        return all(call.result["identity_checked"] for call in self.calls)


@dataclass(frozen=True)
class Scene:
    """networks: in the order in which they are drawn."""

    networks: tuple[str, ...]
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def make_scene(report: Report) -> Scene:
    """Nodes and arrows of a report, in the order of its hosts and calls."""
    groups = _groups(report)
    node_of = {host.name: key for key, hosts in groups.items() for host in hosts}
    nodes = {key: _node(key, hosts, report) for key, hosts in groups.items()}
    arrows: dict[tuple[str, str, str, str, bool, bool], list[tuple[Call, int]]] = {}
    for call in report.calls:
        source = node_of.get(call.source, call.source)
        gateway = node_of.get(call.gateway, "")
        for target, share in _ends(call, node_of):
            for key in (source, target):
                nodes.setdefault(key, Node(key, key, (), ELSEWHERE, (), "not in the inventory"))
            through = "" if gateway == target else gateway
            secured = bool(call.result["identity_checked"])
            fate = (source, target, through, call.outcome, call.ok, secured)
            arrows.setdefault(fate, []).append((call, share))
    return Scene(
        networks=tuple(sorted({name for host in report.hosts for name in host.networks})),
        nodes=tuple(nodes.values()),
        arrows=tuple(
            Arrow(
                *fate[:5],
                calls=tuple(call for call, _share in ends),
                share=sum(share for _call, share in ends),
            )
            for fate, ends in arrows.items()
        ),
    )


def _groups(report: Report) -> dict[str, list[Host]]:
    """Hosts by node: one each, or in a large mesh those of one network, kind and identity."""
    groups: dict[str, list[Host]] = {}
    many = len(report.hosts) > _HOST_LIMIT
    for host in report.hosts:
        alike = f"{host.kind} {host.identity} {' '.join(host.networks)}"
        groups.setdefault(alike if many and host.kind != GATEWAY else host.name, []).append(host)
    return groups


def _node(key: str, hosts: t.Sequence[Host], report: Report) -> Node:
    first = hosts[0]
    single = len(hosts) == 1
    alike = {
        CONTROL_PLANE: "control plane",
        GATEWAY: "gateway",
        OUTSIDER: "not in the mesh",
    }.get(first.kind, first.identity)
    # An address of every family would not fit; details has them all.
    shown = _shown_addresses(first, report) if single else (f"{len(hosts)} hosts",)
    short = first.identity.partition("/")[2] or alike
    lines = (alike if alike != first.name else "", *shown) if single else shown
    return Node(
        key=key,
        title=first.name if single else short,
        lines=tuple(line for line in lines if line),
        kind=first.kind,
        networks=first.networks,
        details="\n".join(
            " ".join([host.name, alike, ", ".join(host.addresses)]) for host in hosts[:20]
        ),
    )


def _shown_addresses(host: Host, report: Report) -> tuple[str, ...]:
    legacy = [address for address in host.addresses if ":" not in address]
    addresses = legacy or list(host.addresses)
    return tuple(addresses[: 2 if host.kind == GATEWAY else 1])


def _ends(call: Call, node_of: t.Mapping[str, str]) -> t.Iterator[tuple[str, int]]:
    """Nodes at which a call ended, each with the number of its repetitions there, 0 if unknown."""
    ends: dict[str, int] = {}
    for target in call.targets:
        key = node_of.get(target, target)
        ends[key] = ends.get(key, 0) + call.shares.get(target, 0)
    yield from (ends or {call.url.partition("://")[2].split("/")[0]: 0}).items()


def _ranges(numbers: t.Sequence[int]) -> str:
    """1, 2, 3, 5 as 1\u20133, 5; what is more than fits is counted: 1, 3, 5 +7."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    shown = ", ".join(
        f"{run[0]}\u2013{run[-1]}" if len(run) > 2 else ", ".join(map(str, run))
        for run in runs[:_RUN_LIMIT]
    )
    more = sum(map(len, runs[_RUN_LIMIT:]))
    return f"{shown} +{more}" if more else shown
