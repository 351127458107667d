# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From what the caller saw and what its proxy says to one of five outcomes."""

from __future__ import annotations

from . import attempt as seen
from .attempt import Attempt
from .evidence import Evidence

ALLOWED = "allowed"
FORBIDDEN = "forbidden"
REFUSED = "refused"
UNREACHABLE = "unreachable"
#: Never expected: something answered, but not the peer, or not the way it should.
ERROR = "error"

EXPECTATIONS = (ALLOWED, FORBIDDEN, REFUSED, UNREACHABLE)

#: What Envoy's RBAC filter answers over HTTP.
_DENIED = "RBAC: access denied"

#: Envoy's response flags for "the peer was never reached": a caller sees a closed connection
#: then, which must not pass for a refusal by the peer.
_NOT_REACHED = {
    "UF": "the connection to the peer failed",
    "UH": "no healthy peer",
    "UO": "too many calls to the peer already",
    "UT": "the peer did not answer in time",
    "NR": "no route",
    "NC": "no such cluster",
    "DF": "the peer's name did not resolve",
    "LH": "the peer fails its health check",
    "URX": "no attempt to connect succeeded",
}


def classify(attempt: Attempt, evidence: Evidence | None, *, plaintext: bool) -> tuple[str, str]:
    """The outcome of one attempt and a sentence that says how it showed.

    plaintext: the call may do without evidence (see silence below).
    """
    if attempt.kind == seen.UNREACHED:
        return UNREACHABLE, attempt.reason
    if evidence:
        troubled = _trouble(attempt, evidence)
        if troubled:
            return troubled
    if attempt.kind == seen.ANSWERED:
        return _answered(attempt, evidence)
    if attempt.kind == seen.CLOSED:
        return REFUSED, attempt.reason
    if attempt.kind == seen.SILENT:
        # A server that waits for its client to speak keeps a connection open in silence; that
        # the peer is there shows in the evidence alone.
        if attempt.status is None and (plaintext or (evidence and evidence.mutual_tls)):
            return ALLOWED, "connected, and kept open without a word"
        return UNREACHABLE, attempt.reason
    return ERROR, attempt.reason


def _trouble(attempt: Attempt, evidence: Evidence) -> tuple[str, str] | None:
    """The proxy's own account of a call that it could not bring to the peer."""
    reasons = [_NOT_REACHED[flag] for flag in evidence.flags if flag in _NOT_REACHED]
    if not reasons:
        return None
    text = f"{'; '.join(reasons)} ({describe(attempt, evidence)})"
    if "ALERT" in evidence.failure:
        return REFUSED, f"refused in the TLS handshake: {text}"
    if evidence.failure.startswith("TLS_error"):
        return ERROR, f"the TLS handshake failed: {text}"
    return UNREACHABLE, text


def _answered(attempt: Attempt, evidence: Evidence | None) -> tuple[str, str]:
    if attempt.status == 403 and attempt.body.lstrip().startswith(_DENIED):
        return FORBIDDEN, f"HTTP 403, {_DENIED}"
    if attempt.status is not None and attempt.status >= 500:
        return ERROR, describe(attempt, evidence)
    return ALLOWED, attempt.reason


def describe(attempt: Attempt, evidence: Evidence | None) -> str:
    """HTTP 503; response flags UF; transport failure: delayed connect error: 111."""
    parts = [f"HTTP {attempt.status}" if attempt.status else attempt.reason]
    if evidence and evidence.flags:
        parts.append(f"response flags {','.join(evidence.flags)}")
    if evidence and evidence.failure:
        parts.append(f"transport failure: {evidence.failure}")
    return "; ".join(parts)
