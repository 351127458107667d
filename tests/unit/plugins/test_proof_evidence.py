# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the proof log, and which call they belong to."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.attempt import CLOSED, Attempt
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.evidence import (
    Evidence,
    ProofLog,
    matching,
    parse_line,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_BEGAN = 1795261330.436


def _line(**changes: Any) -> str:
    """As Envoy 1.40 writes it for a connection over mutual TLS."""
    fields = {
        "downstream_remote_address": "127.0.0.1:15950",
        "duration": 3,
        "protocol": None,
        "requested_server_name": None,
        "response_code": 0,
        "response_flags": "-",
        "start_time": "2026-11-21T11:42:10.436Z",
        "upstream_cluster": "outbound|5432||db.shop.svc.cluster.local",
        "upstream_host": "10.231.1.2:15443",
        "upstream_peer_cert": None,
        "upstream_peer_uri_san": "spiffe://cluster.local/ns/shop/sa/db",
        "upstream_tls_version": "TLSv1.3",
        "upstream_transport_failure_reason": None,
    }
    return json.dumps({**fields, **changes})


def _attempt(
    port: int | None = 15950, began: float = _BEGAN, ended: float | None = None
) -> Attempt:
    return Attempt(CLOSED, "", began, began + 0.1 if ended is None else ended, port)


def _parsed(**changes: Any) -> Evidence:
    evidence = parse_line(_line(**changes))
    assert evidence is not None
    return evidence


def _certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    begin = datetime(2026, 11, 21, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(0xABC)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(hours=24))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_a_line() -> None:
    found = _parsed(upstream_peer_cert=quote(_certificate()))
    assert (found.port, found.began) == (15950, _BEGAN)
    assert found.upstream == "10.231.1.2:15443"
    assert found.peers == ("spiffe://cluster.local/ns/shop/sa/db",)
    assert (found.serial, found.not_after) == ("abc", "2026-11-22T00:00:00Z")
    assert found.tls == "TLSv1.3"
    assert (found.flags, found.failure) == ((), "")
    assert found.mutual_tls


def test_ipv6() -> None:
    assert _parsed(downstream_remote_address="[fd31:1::11]:15999").port == 15999


def test_what_the_proxy_did_not_see() -> None:
    found = _parsed(
        upstream_peer_uri_san="-",
        upstream_tls_version=None,
        response_flags="UF,URX",
        upstream_transport_failure_reason="delayed_connect_error:_Connection_refused",
    )
    assert found.peers == ()
    assert not found.mutual_tls
    assert found.flags == ("UF", "URX")
    assert found.failure == "delayed_connect_error:_Connection_refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"upstream_tls_version": None},
        {"upstream_peer_uri_san": None},
        {"upstream_peer_uri_san": "https://db.shop"},
    ],
)
def test_mutual_tls_needs_both(changes: dict[str, Any]) -> None:
    assert not _parsed(**changes).mutual_tls


@pytest.mark.parametrize(
    "line",
    [
        "",
        "text",
        "[1]",
        "7",
        _line(downstream_remote_address=None),
        _line(downstream_remote_address="unix:/socket"),
        _line(start_time="now"),
    ],
)
def test_what_is_no_evidence(line: str) -> None:
    assert parse_line(line) is None


def test_a_certificate_that_cannot_be_read_costs_no_more_than_itself() -> None:
    found = _parsed(upstream_peer_cert="-----BEGIN%20CERTIFICATE-----%0AMIIB")
    assert (found.serial, found.not_after, found.mutual_tls) == ("", "", True)


@pytest.mark.parametrize(
    ("attempt", "fits"),
    [
        (_attempt(), True),
        (_attempt(began=_BEGAN + 0.001), True),  # Envoy cuts off what is below a millisecond
        (_attempt(port=15951), False),
        (_attempt(port=None), False),
        (_attempt(began=_BEGAN + 0.01), False),  # an earlier call from this port
        (_attempt(began=_BEGAN - 1, ended=_BEGAN - 0.5), False),  # a later one
    ],
)
def test_port_and_time_tell_whose_line_it_is(attempt: Attempt, fits: bool) -> None:
    line = _parsed()
    assert matching(attempt, [_parsed(downstream_remote_address="127.0.0.1:15949"), line]) == (
        line if fits else None
    )


def test_two_lines_for_one_call_are_none() -> None:
    assert matching(_attempt(), [_parsed(), _parsed(upstream_host="10.231.1.3:80")]) is None


class _Time:
    """A clock that moves only when someone sleeps, and does something then."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.now = 0.0
        self._events = list(events)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self._events:
            self._events.pop(0)()


def test_lines_may_come_late(tmp_path: Path) -> None:
    path = tmp_path / "proof.log"
    path.write_text(_line(downstream_remote_address="127.0.0.1:15951") + "\n")
    half = _line()[:50]

    def append(text: str) -> Callable[[], object]:
        def write() -> None:
            with path.open("a") as log:
                log.write(text)

        return write

    time = _Time(append(half), append(_line()[50:]), append("\n"))
    log = ProofLog(path, time.clock, time.sleep)
    earlier = _attempt(port=15951)
    ((attempt, found),) = log.collect([_attempt()], 3)
    assert found == _parsed()
    assert attempt == _attempt()
    assert time.now == pytest.approx(0.3)
    # What was there before the calls is nobody's evidence.
    assert log.collect([earlier], 0) == [(earlier, None)]


def test_waiting_ends(tmp_path: Path) -> None:
    path = tmp_path / "proof.log"
    path.touch()
    time = _Time()
    assert ProofLog(path, time.clock, time.sleep).collect([_attempt()], 3) == [(_attempt(), None)]
    assert time.now == pytest.approx(3, abs=0.11)


def test_a_call_without_a_connection_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "proof.log"
    path.touch()
    time = _Time()
    never = _attempt(port=None)
    assert ProofLog(path, time.clock, time.sleep).collect([never], 3) == [(never, None)]
    assert time.now == 0


def test_a_host_without_a_proxy_is_not_waited_for(tmp_path: Path) -> None:
    time = _Time()
    log = ProofLog(tmp_path / "proof.log", time.clock, time.sleep)
    assert log.collect([_attempt()], 3) == [(_attempt(), None)]
    assert time.now == 0


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "proof.log"
    path.write_text("old\n" * 1000)
    log = ProofLog(path)
    path.rename(tmp_path / "proof.log.1")
    path.write_text(_line() + "\n")
    assert log.collect([_attempt()], 0) == [(_attempt(), _parsed())]


def test_truncation(tmp_path: Path) -> None:
    path = tmp_path / "proof.log"
    path.write_text("old\n" * 1000)
    log = ProofLog(path)
    path.write_text(_line() + "\n")
    assert log.collect([_attempt()], 0) == [(_attempt(), _parsed())]


def test_a_log_that_may_not_be_read_is_an_error_before_the_calls(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"proof\.log"):
        (tmp_path / "proof.log").mkdir()
        ProofLog(tmp_path / "proof.log")
