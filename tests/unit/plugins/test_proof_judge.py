# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen to a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof import attempt as seen
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.attempt import Attempt
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.evidence import Evidence
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.judge import (
    Expectation,
    judge,
    path_of,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.outcome import classify
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.spread import (
    needed_count,
    spread_fault,
)

_API = "spiffe://cluster.local/ns/shop/sa/api"
_DB = "spiffe://cluster.local/ns/shop/sa/db"

_OK = Attempt(seen.ANSWERED, "HTTP 200", 10.0, 10.2, 15900, 200, '{"version": "v1"}')
_DENIED = Attempt(seen.ANSWERED, "HTTP 403", 10.0, 10.2, 15900, 403, "RBAC: access denied")
_BUSY = Attempt(seen.ANSWERED, "HTTP 503", 10.0, 10.2, 15900, 503, "upstream connect error")
_CLOSED = Attempt(seen.CLOSED, "connected, then closed without an answer", 10.0, 10.1, 15900)
_SILENT = Attempt(seen.SILENT, "connected, but no answer within 5 s", 10.0, 15.0, 15900)
_LOST = Attempt(seen.UNREACHED, "no route", 10.0, 10.0)
_ODD = Attempt(seen.GARBLED, "the answer is not HTTP: 'x'", 10.0, 10.0, 15900)

_SEEN = Evidence(
    port=15900,
    began=10.0,
    upstream="10.231.1.21:8080",
    cluster="outbound|80||api.shop.svc.cluster.local",
    peers=(_API,),
    serial="abc",
    not_after="2026-11-22T00:00:00Z",
    tls="TLSv1.3",
    flags=(),
    failure="",
)
_NO_PEER = replace(_SEEN, peers=(), serial="", not_after="", tls="")
_FAILED = replace(_NO_PEER, flags=("UF", "URX"), failure="delayed_connect_error:_111")
_ALERT = replace(_FAILED, failure="TLS_error:|268436496:SSL_routines:SSLV3_ALERT_BAD_CERTIFICATE")
_DISTRUST = replace(_FAILED, failure="TLS_error:|268435581:CERTIFICATE_VERIFY_FAILED")
_VIA = replace(_SEEN, upstream="10.231.1.2:15443", peers=(_DB,), serial="def")


@pytest.mark.parametrize(
    ("attempt", "evidence", "expected"),
    [
        (_OK, _SEEN, "allowed"),
        (_OK, None, "allowed"),
        (replace(_OK, status=404), _SEEN, "allowed"),
        (replace(_OK, status=403, body="application says no"), _SEEN, "allowed"),
        (_DENIED, _SEEN, "forbidden"),
        (_CLOSED, None, "refused"),
        (_CLOSED, _SEEN, "refused"),
        (_CLOSED, _ALERT, "refused"),
        (_BUSY, _ALERT, "refused"),
        (_LOST, None, "unreachable"),
        (_SILENT, None, "unreachable"),
        (_SILENT, _NO_PEER, "unreachable"),
        (_SILENT, _SEEN, "allowed"),
        # A closed connection is no refusal when the proxy never reached the peer.
        (_CLOSED, _FAILED, "unreachable"),
        (_BUSY, _FAILED, "unreachable"),
        (replace(_OK, status=404, body=""), replace(_NO_PEER, flags=("NR",)), "unreachable"),
        (_CLOSED, _DISTRUST, "error"),
        (_BUSY, None, "error"),
        (_BUSY, replace(_SEEN, flags=("UC",)), "error"),
        (replace(_OK, status=500), _SEEN, "error"),
        (_ODD, _SEEN, "error"),
    ],
)
def test_outcomes(attempt: Attempt, evidence: Evidence | None, expected: str) -> None:
    assert classify(attempt, evidence, plaintext=False)[0] == expected


def test_a_silent_server_counts_where_no_evidence_is_asked_for() -> None:
    assert classify(_SILENT, None, plaintext=True)[0] == "allowed"


def test_a_503_says_what_the_proxy_says() -> None:
    reason = classify(_BUSY, _FAILED, plaintext=False)[1]
    assert "HTTP 503" in reason
    assert "response flags UF,URX" in reason
    assert "transport failure: delayed_connect_error:_111" in reason


def _wanted(expect: str = "allowed", **more: Any) -> Expectation:
    return Expectation("api", "http://api/", expect, **more)


def test_all_is_well() -> None:
    found = judge(_wanted(peer=_API, via=()), [(_OK, _SEEN)])
    assert found["ok"] is True
    assert found["reason"] == "HTTP 200"
    assert (found["outcome"], found["status"], found["body"]) == ("allowed", 200, _OK.body)
    assert (found["peer"], found["serial"], found["tls"]) == (_API, "abc", "TLSv1.3")
    assert found["not_after"] == "2026-11-22T00:00:00Z"
    assert (found["upstream"], found["path"]) == ("10.231.1.21:8080", "direct")
    assert found["identity_checked"] is True
    assert found["answers"] == {"v1": 1}
    assert found["seconds"] == 0.2


@pytest.mark.parametrize(
    ("wanted", "attempt", "evidence", "reason"),
    [
        (_wanted(), _CLOSED, _SEEN, "expected allowed, found refused: connected, then closed"),
        (_wanted("forbidden"), _OK, _SEEN, "expected forbidden, found allowed: HTTP 200"),
        (_wanted("refused"), _CLOSED, _FAILED, "expected refused, found unreachable"),
        (_wanted(), _OK, None, "HTTP 200; the proof log has no line for this call"),
        (_wanted(), _OK, _NO_PEER, "saw no SPIFFE identity of the peer 10.231.1.21:8080"),
        (_wanted(peer=_DB), _OK, _SEEN, f"expected the peer {_DB}, found {_API}"),
        (_wanted("refused", peer=_DB), _CLOSED, None, "the proof log has no line"),
        (_wanted("refused", peer=_DB), _CLOSED, _SEEN, f"expected the peer {_DB}"),
        (_wanted(plaintext=True, peer=_API), _OK, None, "the proof log has no line"),
        (
            _wanted(via=("10.231.1.2",)),
            _OK,
            _SEEN,
            "expected the path gateway 10.231.1.2, found direct",
        ),
        (_wanted(via=()), _OK, _VIA, "expected the path direct, found gateway 10.231.1.2"),
        (
            _wanted("refused", via=("10.231.1.2",)),
            _CLOSED,
            None,
            "expected the path gateway 10.231.1.2, but no evidence shows a path",
        ),
    ],
)
def test_faults(
    wanted: Expectation, attempt: Attempt, evidence: Evidence | None, reason: str
) -> None:
    found = judge(wanted, [(attempt, evidence)])
    assert found["ok"] is False
    assert reason in found["reason"]


@pytest.mark.parametrize(
    ("wanted", "attempt", "evidence"),
    [
        (_wanted(plaintext=True), _OK, None),
        (_wanted("refused"), _CLOSED, None),
        (_wanted("unreachable"), _LOST, None),
        (_wanted("unreachable"), _BUSY, _FAILED),
        (_wanted("forbidden"), _DENIED, None),
        (_wanted(peer=_DB, via=("10.231.1.2", "10.231.1.3")), _OK, _VIA),
    ],
)
def test_as_expected(wanted: Expectation, attempt: Attempt, evidence: Evidence | None) -> None:
    found = judge(wanted, [(attempt, evidence)])
    assert (found["ok"], found["outcome"]) == (True, wanted.expect)


def test_one_odd_call_of_many_decides() -> None:
    made = [(_OK, _SEEN), (_OK, _SEEN), (_BUSY, _SEEN)]
    found = judge(_wanted(), made)
    assert not found["ok"]
    assert found["reason"] == "expected allowed, found error 1 of 3 times: HTTP 503"
    assert found["status"] == 503


def test_answers_that_are_not_spread_as_wanted() -> None:
    found = judge(_wanted(spread={"v1": 1, "v2": 1}), [(_OK, _SEEN)] * 20)
    assert (found["ok"], found["outcome"]) == (False, "allowed")
    assert found["reason"].startswith("v1 gave 20 of 20 answers, expected about 10")


def test_one_missing_line_of_many_decides() -> None:
    found = judge(_wanted(), [(_OK, _SEEN), (_OK, None)])
    assert not found["ok"]
    assert not found["identity_checked"]


def test_endpoints_of_repeated_calls() -> None:
    other = replace(_SEEN, upstream="10.231.1.22:8080", serial="abd")
    found = judge(_wanted(), [(_OK, other), (_OK, _SEEN), (_OK, _SEEN)])
    assert [(end["upstream"], end["serial"], end["count"]) for end in found["endpoints"]] == [
        ("10.231.1.21:8080", "abc", 2),
        ("10.231.1.22:8080", "abd", 1),
    ]
    assert found["serial"] == "abc"


@pytest.mark.parametrize("body", ["", "text", "[1]", '{"other": 1}', "\ud800"])
def test_answers_without_the_key_are_not_counted(body: str) -> None:
    assert judge(_wanted(), [(replace(_OK, body=body), _SEEN)])["answers"] == {}


def test_the_body_is_cut_but_counted_whole() -> None:
    long = '{"pad": "' + "x" * 600 + '", "version": 2}'
    found = judge(_wanted(), [(replace(_OK, body=long), _SEEN)])
    assert len(found["body"]) == 500
    assert found["answers"] == {"2": 1}


@pytest.mark.parametrize(
    ("upstream", "gateways", "path"),
    [
        ("10.0.0.1:8080", (), "direct"),
        ("10.0.0.1:15443", (), "gateway 10.0.0.1"),
        ("10.0.0.1:31443", ("10.0.0.1",), "gateway 10.0.0.1"),
        ("[fd31:1::2]:15443", (), "gateway fd31:1::2"),
        ("[fd31:1::2]:31443", ("fd31:0001::0002",), "gateway fd31:1::2"),
    ],
)
def test_paths(upstream: str, gateways: tuple[str, ...], path: str) -> None:
    assert path_of(upstream, gateways) == path


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({"v1": 30, "v2": 10}, ""),
        ({"v1": 22, "v2": 18}, ""),
        ({"v1": 18, "v2": 22}, "v1 gave 18 of 40 answers, expected about 30"),
        ({"v1": 40}, "v2 gave 0 of 40 answers, expected about 10 (found: v1 40)"),
        ({}, "(found: none)"),
        ({"v1": 29, "v2": 10, "v3": 1}, "v3 gave 1 of 40 answers, expected none"),
    ],
)
def test_spread(answers: dict[str, int], fault: str) -> None:
    found = spread_fault({"v1": 75, "v2": 25}, answers, 40)
    assert found == fault if not fault else fault in found


def test_spread_is_not_asked_for() -> None:
    assert spread_fault({}, {"v1": 1}, 1) == ""


@pytest.mark.parametrize(
    ("weights", "count"), [({"v1": 1}, 1), ({"a": 1, "b": 1}, 14), ({"v1": 75, "v2": 25}, 33)]
)
def test_needed_count(weights: dict[str, float], count: int) -> None:
    assert needed_count(weights) == count
