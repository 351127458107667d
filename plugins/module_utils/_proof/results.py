# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""One run of verify as data; everything that is written or printed comes from here."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

from .topology import Host, destinations, gateway_name, identity_of, landings, owners, place

#: The outcome of a call that its host never made.
NOT_MADE = "not made"

#: What a result of the module mesh_call always has.
RESULT_KEYS = (
    "outcome",
    "ok",
    "reason",
    "status",
    "body",
    "count",
    "seconds",
    "plaintext",
    "peer",
    "serial",
    "not_after",
    "tls",
    "upstream",
    "path",
    "identity_checked",
    "endpoints",
    "answers",
)


@dataclass(frozen=True)
class Call:
    """One call of the run.

    targets: hosts that it was for; shares: repetitions that each of those answered that are known
    to have. result: see RETURN of the module mesh_call.
    """

    number: int
    source: str
    targets: tuple[str, ...]
    shares: t.Mapping[str, int]
    gateway: str
    name: str
    url: str
    expect: str
    result: t.Mapping[str, t.Any]

    @property
    def ok(self) -> bool:
        return bool(self.result["ok"])

    @property
    def outcome(self) -> str:
        return str(self.result["outcome"])

    @property
    def reason(self) -> str:
        return str(self.result["reason"])

    @property
    def title(self) -> str:
        """web -> api.shop.svc.cluster.local"""
        return f"{self.source} -> {self.name}"

    def text(self, key: str) -> str:
        """A value of the result, empty if it has none."""
        value = self.result.get(key)
        return "" if value is None else str(value)


@dataclass(frozen=True)
class Report:
    """mesh: its name; finished: UTC; trust_domain: of all peers, empty if they differ."""

    mesh: str
    trust_domain: str
    finished: datetime
    hosts: tuple[Host, ...]
    calls: tuple[Call, ...]

    @property
    def failed(self) -> tuple[Call, ...]:
        return tuple(call for call in self.calls if not call.ok)

    @property
    def headline(self) -> str:
        """All 16 calls went as expected / 2 of 16 calls did not go as expected"""
        total, failed = len(self.calls), len(self.failed)
        if failed:
            return f"{failed} of {total} call{_s(total)} did not go as expected"
        return f"All {total} calls went as expected" if total > 1 else "The call went as expected"

    def count(self, outcome: str) -> int:
        return sum(call.outcome == outcome for call in self.calls)

    @property
    def certificates(self) -> dict[str, str]:
        """Serial number to end of validity of every certificate that a peer showed."""
        return {
            endpoint["serial"]: endpoint["not_after"]
            for call in self.calls
            for endpoint in call.result["endpoints"]
            if endpoint["serial"]
        }

    def identity(self, spiffe: str) -> str:
        """Without what all identities of this run have in common: shop/api."""
        domain = f"spiffe://{self.trust_domain}/"
        short = identity_of(spiffe) if self.trust_domain and spiffe.startswith(domain) else ""
        return short or spiffe

    def expiry(self, not_after: str) -> str:
        """Time from the end of the run to the end of a certificate: 23 h 59 min."""
        return span(_moment(not_after).timestamp() - self.finished.timestamp())


def make_report(
    *,
    mesh: str,
    finished: datetime,
    hosts: t.Sequence[Host],
    calls: t.Sequence[t.Mapping[str, t.Any]],
    made: t.Mapping[str, t.Mapping[str, t.Any]],
) -> Report:
    """calls: as make_plan returns them; made: host to what its task with mesh_call returned.

    Calls of a host that did not make them are failures that say why.
    """
    placed = place(hosts)
    turns: Counter[str] = Counter()
    results = []
    for call in calls:
        results.append(_result(call, made.get(call["from"]) or {}, turns[call["from"]]))
        turns[call["from"]] += 1
    owner = owners(placed, [end for result in results for end in result["endpoints"]])
    found = []
    for number, (call, result) in enumerate(zip(calls, results, strict=True), 1):
        shares = landings(placed, result["endpoints"], owner)
        found.append(
            Call(
                number=number,
                source=call["from"],
                targets=tuple(shares or destinations(placed, call, result)),
                shares=shares,
                gateway=gateway_name(placed, str(result["path"] or "")),
                name=call["name"],
                url=call["url"],
                expect=call["expect"],
                result=result,
            )
        )
    domains = {
        peer.split("/")[2]
        for call in found
        for peer in str(call.result["peer"] or "").split(",")
        if peer.startswith("spiffe://")
    }
    return Report(
        mesh=mesh,
        trust_domain=domains.pop() if len(domains) == 1 else "",
        finished=finished,
        hosts=tuple(placed),
        calls=tuple(found),
    )


def stamp(moment: datetime) -> str:
    """2026-01-31T12:00:00Z"""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(seconds: float) -> str:
    """The two largest units of a time: 89 d 23 h, 23 h 59 min, 4 min; expired."""
    if seconds <= 0:
        return "expired"
    minutes = int(seconds // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _result(
    call: t.Mapping[str, t.Any], task: t.Mapping[str, t.Any], turn: int
) -> dict[str, t.Any]:
    results = task.get("results") or []
    if turn < len(results):
        return {key: results[turn].get(key) for key in RESULT_KEYS}
    nothing: dict[str, t.Any] = dict.fromkeys(RESULT_KEYS)
    nothing.update(
        outcome=NOT_MADE,
        ok=False,
        reason=f"{call['from']} did not make this call: {_why(task)}",
        body="",
        count=0,
        seconds=0.0,
        plaintext=bool(call.get("plaintext")),
        identity_checked=False,
        endpoints=[],
        answers={},
    )
    return nothing


def _why(task: t.Mapping[str, t.Any]) -> str:
    message = str(task.get("msg") or "").strip()
    if task.get("unreachable"):
        return f"Ansible did not reach the host: {message}" if message else "no way to the host"
    return message or "it did not take part in this run"


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def _s(number: int) -> str:
    return "" if number == 1 else "s"
