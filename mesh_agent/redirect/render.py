# SPDX-License-Identifier: Apache-2.0
"""A plan as the text of one nftables transaction, and in words (pure).

What holds for every rule:

- Only packets that open a connection (SYN) are redirected. Where nothing tracked connections
  before, the first packet of an old one would look like a new one, and a running ssh session would
  be led to Envoy.
- Translation comes one step after the usual place (-99, not -100), so that ports published by
  container engines and the administrator's own rules are settled first. Where the networks to be
  called through Envoy are named, it comes one step before: Kubernetes' addresses of services may
  be among them, and the first translation of a connection is the only one.
- The syntax is that of nft 1.0.2 to 1.1: numbers for priorities, no ``destroy``.

After ``pilot-agent istio-iptables`` (istio, ``tools/istio-iptables/pkg/capture/run.go``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from mesh_agent.redirect.plan import Inbound, Names, Outbound, Plan
from mesh_agent.redirect.ports import (
    CAPTURE_PORTS,
    DNS_PORT,
    ENVOY_SOURCE_IPV4,
    ENVOY_SOURCE_IPV6,
    INBOUND_PORT,
    OUTBOUND_PORT,
)

FAMILY: Final = "inet"
TABLE: Final = "hybrid_mesh"
TAG: Final = "plan_"
"""An empty chain of this name and the plan's fingerprint tells which plan a table is of."""

REMOVAL: Final = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"
"""Takes the table away, and is no error without one."""

_AFTER_OTHERS: Final = -99
_BEFORE_OTHERS: Final = -101
_RAW_PRIORITY: Final = -300
_SYN: Final = "tcp flags & (fin | syn | rst | ack) == syn"
_AGENT_ZONE: Final = 1


def render(plan: Plan) -> str:
    """Return the text that replaces the table in one transaction."""
    body = _table(plan)
    return f"{REMOVAL}table {FAMILY} {TABLE} {{\n\tchain {TAG}{_hash(body)} {{\n\t}}\n{body}}}\n"


def fingerprint(plan: Plan) -> str:
    """Return 16 hexadecimal digits that change whenever the table does."""
    return _hash(_table(plan))


def describe(plan: Plan) -> list[str]:
    """Return what is captured and what is not, in words."""
    lines = []
    family = "IPv4 and IPv6" if plan.ipv6 else "IPv4"
    if plan.inbound:
        lines.append(
            f"inbound: {family} TCP to {_reached(plan.inbound)} goes to Envoy, "
            f"port {INBOUND_PORT}; not from {_words(plan.inbound.interfaces)}"
        )
    if plan.outbound:
        lines.append(
            f"outbound: {family} TCP of this host{_called(plan.outbound)} goes to Envoy, "
            f"port {OUTBOUND_PORT}; "
            f"not to ports {_words(plan.outbound.ports)}; "
            f"not to {_words((*plan.outbound.ipv4, *plan.outbound.ipv6))}"
        )
    if plan.names:
        servers = (*plan.names.ipv4, *plan.names.ipv6)
        lines.append(f"names: questions to {_words(servers)} go to the agent, port {DNS_PORT}")
    lines.append(
        f"left alone: users {_words(plan.own_uids)}; "
        f"interfaces {_words(plan.interfaces)}; loopback; forwarded traffic"
    )
    return [*lines, *(f"note: {note}" for note in plan.notes)]


def _reached(inbound: Inbound) -> str:
    if inbound.only is not None:
        return f"ports {_words(inbound.only)} of this host, and no others,"
    return f"this host, but not to ports {_words(inbound.ports)},"


def _called(outbound: Outbound) -> str:
    if outbound.only is None:
        return ""
    return f" to {_words((*outbound.only.ipv4, *outbound.only.ipv6))}, and nothing else,"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def _table(plan: Plan) -> str:
    text = ""
    if plan.names:
        text += _chain("zones", f"type filter hook output priority {_RAW_PRIORITY}", _zones(plan))
    if plan.inbound:
        hook = f"type nat hook prerouting priority {_AFTER_OTHERS}"
        text += _chain("inbound", hook, _inbound(plan, plan.inbound))
    if plan.inbound or plan.outbound:
        text += _chain("guard", "type filter hook input priority 0", _guard())
    if plan.outbound or plan.names:
        named = plan.outbound is not None and plan.outbound.only is not None
        priority = _BEFORE_OTHERS if named else _AFTER_OTHERS
        hook = f"type nat hook output priority {priority}"
        text += _chain("outbound", hook, _output(plan))
    return text


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\t{hook}; policy accept;\n{lines}\t}}\n"


def _zones(plan: Plan) -> Iterator[str]:
    """Keep our own questions apart from captured ones.

    Both may have the same addresses and, shortly one after the other, the same port. Then the
    kernel would take ours for a further packet of the captured exchange, and lead it back to us.
    """
    yield f"meta skuid {_set(plan.own_uids)} udp dport 53 ct original zone set {_AGENT_ZONE}"


def _inbound(plan: Plan, inbound: Inbound) -> Iterator[str]:
    yield 'iifname "lo" return'
    yield "fib daddr type != local return"
    for interface in (*plan.interfaces, *inbound.interfaces):
        yield f'iifname "{interface}" return'
    if inbound.only is None:
        yield f"tcp dport {_set(inbound.ports)} return"
    yield _to(INBOUND_PORT, _family(plan), _named(inbound), _SYN, why="inbound")


def _guard() -> Iterator[str]:
    """Refuse calls made to the capture ports themselves, which Envoy would call in a circle."""
    ports = _set(CAPTURE_PORTS)
    yield f'iifname != "lo" tcp dport {ports} ct status & dnat == 0 counter reject with tcp reset'


def _output(plan: Plan) -> Iterator[str]:
    for interface in plan.interfaces:
        yield f'oifname "{interface}" return'
    yield f'oifname "lo" ip saddr {ENVOY_SOURCE_IPV4} return'
    if plan.ipv6:
        yield f'oifname "lo" ip6 saddr {ENVOY_SOURCE_IPV6} return'
    if plan.inbound:
        yield from _own_service(plan, plan.inbound)
    yield f"meta skuid {_set(plan.own_uids)} return"
    if plan.names:
        yield from _questions(plan.names)
    if plan.outbound is None or plan.outbound.only is None:
        yield 'oifname "lo" return'
    # Networks that are named may be addresses of this host: kube-proxy's, in IPVS mode.
    if plan.outbound:
        yield from _outbound(plan, plan.outbound)


def _own_service(plan: Plan, inbound: Inbound) -> Iterator[str]:
    """Lead Envoy's call to a service of this very host to Envoy as if it came from outside."""
    ports = _named(inbound) or f"tcp dport != {_set(inbound.ports)}"
    match = f"{ports} meta skuid {plan.proxy_uid} {_SYN}"
    why = "own service"
    yield _to(INBOUND_PORT, 'oifname "lo" ip daddr != 127.0.0.0/8', match, why=why)
    if plan.ipv6:
        yield _to(INBOUND_PORT, 'oifname "lo" ip6 daddr != ::1', match, why=why)


def _questions(names: Names) -> Iterator[str]:
    servers = [f"ip daddr {_set(names.ipv4)}"] if names.ipv4 else []
    servers += [f"ip6 daddr {_set(names.ipv6)}"] if names.ipv6 else []
    for server in servers:
        yield _to(DNS_PORT, server, "udp dport 53", why="names")
        yield _to(DNS_PORT, server, "tcp dport 53", _SYN, why="names")


def _outbound(plan: Plan, outbound: Outbound) -> Iterator[str]:
    if outbound.ports:
        yield f"tcp dport {_set(outbound.ports)} return"
    if outbound.ipv4:
        yield f"ip daddr {_set(outbound.ipv4)} return"
    if outbound.ipv6 and plan.ipv6:
        yield f"ip6 daddr {_set(outbound.ipv6)} return"
    if outbound.only is None:
        yield _to(OUTBOUND_PORT, _family(plan), _SYN, why="outbound")
        return
    if outbound.only.ipv4:
        networks = f"ip daddr {_set(outbound.only.ipv4)}"
        yield _to(OUTBOUND_PORT, networks, _SYN, why="outbound")
    if outbound.only.ipv6 and plan.ipv6:
        networks = f"ip6 daddr {_set(outbound.only.ipv6)}"
        yield _to(OUTBOUND_PORT, networks, _SYN, why="outbound")


def _named(inbound: Inbound) -> str:
    return "" if inbound.only is None else f"tcp dport {_set(inbound.only)}"


def _family(plan: Plan) -> str:
    return "" if plan.ipv6 else "meta nfproto ipv4"


def _to(port: int, *matches: str, why: str) -> str:
    found = " ".join(match for match in matches if match)
    return f'{found} counter redirect to :{port} comment "{why}"'


def _set(values: Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"


def _words(values: Iterable[object]) -> str:
    return ", ".join(map(str, values)) or "none"
