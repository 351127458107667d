# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Whether a call went as expected, and what proves it."""

from __future__ import annotations

import ipaddress
import json
import typing as t
from collections import Counter
from dataclasses import dataclass, field

from . import outcome
from .attempt import Attempt
from .evidence import Evidence, Witnessed
from .spread import spread_fault

#: Envoy's AUTO_PASSTHROUGH port of an east-west gateway, whatever Istio installed it.
GATEWAY_PORT = 15443
_BODY_LIMIT = 500


@dataclass(frozen=True)
class Expectation:
    """One entry of mesh_calls, as far as its caller needs it.

    via: addresses of the gateways of which one has to be on the path; an empty tuple: the path
    has to be direct; None: any path. spread: weights of the values of answer_key in the answers.
    """

    name: str
    url: str
    expect: str
    peer: str | None = None
    via: tuple[str, ...] | None = None
    plaintext: bool = False
    spread: t.Mapping[str, float] = field(default_factory=dict)
    answer_key: str = "version"


def judge(wanted: Expectation, calls: t.Sequence[Witnessed]) -> dict[str, t.Any]:
    """The result of one call and its repetitions: see RETURN of the module mesh_call."""
    attempts = [attempt for attempt, _line in calls]
    evidence = [line for _attempt, line in calls]
    verdicts = [
        outcome.classify(attempt, line, plaintext=wanted.plaintext) for attempt, line in calls
    ]
    counts = Counter(verdict[0] for verdict in verdicts)
    # One call that went otherwise decides.
    odd = [index for index, verdict in enumerate(verdicts) if verdict[0] != wanted.expect]
    shown = odd[0] if odd else 0
    answers = _answers(attempts, wanted.answer_key)
    endpoints = _endpoints(evidence, wanted.via or ())
    fault = (
        _outcome_fault(wanted, verdicts[shown], counts)
        or _identity_fault(wanted, calls)
        or _path_fault(wanted, endpoints)
        or spread_fault(wanted.spread, answers, len(attempts))
    )
    main = endpoints[0] if endpoints else _NOTHING
    return {
        "name": wanted.name,
        "url": wanted.url,
        "expect": wanted.expect,
        "outcome": verdicts[shown][0],
        "ok": not fault,
        "reason": fault or verdicts[shown][1],
        "status": attempts[shown].status,
        "body": attempts[shown].body[:_BODY_LIMIT],
        "count": len(attempts),
        "seconds": round(attempts[-1].ended - attempts[0].began, 3),
        "plaintext": wanted.plaintext,
        "peer": main["peer"],
        "serial": main["serial"],
        "not_after": main["not_after"],
        "tls": main["tls"],
        "upstream": main["upstream"],
        "path": main["path"],
        "identity_checked": all(line is not None and line.mutual_tls for line in evidence)
        and not _peer_fault(wanted, evidence),
        "endpoints": endpoints,
        "answers": answers,
    }


_NOTHING: t.Mapping[str, t.Any] = dict.fromkeys(
    ("peer", "serial", "not_after", "tls", "upstream", "path")
)


def _outcome_fault(
    wanted: Expectation, verdict: tuple[str, str], counts: t.Mapping[str, int]
) -> str:
    found, reason = verdict
    if found == wanted.expect:
        return ""
    total = sum(counts.values())
    often = f" {counts[found]} of {total} times" if total > 1 else ""
    return f"expected {wanted.expect}, found {found}{often}: {reason}"


def _identity_fault(wanted: Expectation, calls: t.Sequence[Witnessed]) -> str:
    needed = wanted.peer or (wanted.expect == outcome.ALLOWED and not wanted.plaintext)
    if not needed:
        return ""
    for attempt, line in calls:
        if line is None:
            return (
                f"{attempt.reason}; the proof log has no line for this call, so nothing shows"
                " mutual TLS"
            )
        if not line.mutual_tls:
            return (
                f"{attempt.reason}; the proxy saw no SPIFFE identity of the peer"
                f" {line.upstream or 'at all'}"
            )
    return _peer_fault(wanted, [line for _attempt, line in calls])


def _peer_fault(wanted: Expectation, evidence: t.Sequence[Evidence | None]) -> str:
    for line in evidence:
        if wanted.peer and line and wanted.peer not in line.peers:
            found = ", ".join(line.peers) or "nobody"
            return f"expected the peer {wanted.peer}, found {found}"
    return ""


def _path_fault(wanted: Expectation, endpoints: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    if wanted.via is None:
        return ""
    allowed = [f"gateway {_plain(address)}" for address in wanted.via] or ["direct"]
    if not endpoints:
        return f"expected the path {' or '.join(allowed)}, but no evidence shows a path"
    for endpoint in endpoints:
        if endpoint["path"] not in allowed:
            return f"expected the path {' or '.join(allowed)}, found {endpoint['path']}"
    return ""


def path_of(upstream: str, gateways: t.Iterable[str] = ()) -> str:
    """The path to an upstream ADDRESS:PORT: direct, or gateway ADDRESS."""
    host, _colon, port = upstream.rpartition(":")
    address = _plain(host)
    if port == str(GATEWAY_PORT) or address in {_plain(gateway) for gateway in gateways}:
        return f"gateway {address}"
    return "direct"


def _plain(address: str) -> str:
    """One spelling for one address."""
    bare = address.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare


def _endpoints(
    evidence: t.Sequence[Evidence | None], gateways: t.Sequence[str]
) -> list[dict[str, t.Any]]:
    """Where the calls ended, with which certificate; the most frequent first."""
    seen = Counter(
        (line.upstream, ",".join(line.peers), line.serial, line.not_after, line.tls)
        for line in evidence
        if line and line.upstream
    )
    return [
        {
            "upstream": upstream,
            "path": path_of(upstream, gateways),
            "peer": peer or None,
            "serial": serial or None,
            "not_after": not_after or None,
            "tls": tls or None,
            "count": count,
        }
        for (upstream, peer, serial, not_after, tls), count in sorted(
            seen.items(), key=lambda item: (-item[1], item[0])
        )
    ]


def _answers(attempts: t.Sequence[Attempt], key: str) -> dict[str, int]:
    """How often each value of a key of a JSON answer came."""
    values: Counter[str] = Counter()
    for attempt in attempts:
        try:
            answer = json.loads(attempt.body)
        except ValueError:
            continue
        if isinstance(answer, dict) and key in answer:
            values[str(answer[key])] += 1
    return dict(sorted(values.items()))
