# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What a cluster refuses, or why it cannot be asked, in words for the user."""

from __future__ import annotations

import json
import re
import typing as t

# ... is forbidden: User "u" cannot patch resource "workloadentries" in API group "..." in the ...
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_CONFLICT = re.compile(r'conflict with "(?P<manager>[^"]*)"')


class ClusterError(Exception):
    """A request failed, or could not be made.

    ``status`` is the HTTP status, None when no answer came. ``reason`` is the API server's own
    word for it (``Forbidden``, ``Invalid``, ...), or ``Unreachable`` or ``Configuration``.
    ``fields`` are the fields of the object that it refers to, as ``spec.address``.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        reason: str = "Configuration",
        fields: t.Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.fields = list(fields)

    @property
    def general(self) -> bool:
        """Whether the next request of the same kind would fail for the same reason."""
        return self.status in (None, 401, 403)


def refusal(method: str, path: str, status: int, body: bytes) -> ClusterError:
    """The error for an answer that is not a success."""
    answer = _status(body)
    reason = str(answer.get("reason") or status)
    text = str(answer.get("message") or body[:500].decode("utf-8", "replace")).strip()
    details = answer.get("details") or {}
    causes = [cause for cause in details.get("causes") or [] if isinstance(cause, dict)]
    if status == 401:
        message = (
            f"{method} {path}: the API server does not know who asks (401): expected valid "
            "credentials in the kubeconfig, or api_key"
        )
        return ClusterError(message, status, "Unauthorized")
    if status == 403:
        return ClusterError(_forbidden(text), status, "Forbidden")
    if status == 409 and any(c.get("reason") == "FieldManagerConflict" for c in causes):
        return ClusterError(_conflict(causes), status, "Conflict", _fields(causes))
    if status == 422 and causes:
        return ClusterError(_invalid(causes), status, reason, _fields(causes))
    return ClusterError(text or f"{method} {path}: HTTP {status}", status, reason, _fields(causes))


def _status(body: bytes) -> dict[str, t.Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _forbidden(text: str) -> str:
    found = _FORBIDDEN.search(text)
    if found is None:
        return f"forbidden: {text}"
    group = f" of {found['group']}" if found["group"] else ""
    where = f"in the namespace {found['namespace']}" if found["namespace"] else "cluster-wide"
    return (
        f"user {found['user']!r} may not {found['verb']} {found['resource']}{group} {where}: "
        f"expected a role that allows the verb {found['verb']} on this resource"
    )


def _invalid(causes: list[dict[str, t.Any]]) -> str:
    """``spec.address: Invalid value: ...`` of each cause, each once."""
    lines = []
    for cause in causes:
        field = str(cause.get("field") or "")
        message = str(cause.get("message") or cause.get("reason") or "refused")
        lines.append(f"{field}: {message}" if field and field != "<nil>" else message)
    return "; ".join(dict.fromkeys(lines))


def _conflict(causes: list[dict[str, t.Any]]) -> str:
    held: dict[str, list[str]] = {}
    for cause in causes:
        found = _CONFLICT.search(str(cause.get("message") or ""))
        manager = found["manager"] if found else str(cause.get("message"))
        held.setdefault(manager, []).append(str(cause.get("field") or "").lstrip("."))
    parts = [f"{', '.join(fields)} by {manager}" for manager, fields in held.items()]
    return (
        f"set to another value by someone else: {'; '.join(parts)}: "
        "expected fields that nobody else manages, or force_conflicts"
    )


def _fields(causes: list[dict[str, t.Any]]) -> list[str]:
    found = [str(cause.get("field") or "").lstrip(".") for cause in causes]
    return [field for field in dict.fromkeys(found) if field and field != "<nil>"]
