# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""No secret of a configuration dump leaves the host. Pure.

Envoy redacts what its API marks as sensitive. This is the second lock: what is known to hold a key
or a token by its name, and any text that is a private key, whoever wrote it wherever.
"""

from __future__ import annotations

import base64
import re
import typing as t

REDACTED = "[redacted]"
# Fields of Envoy's API, in both spellings, that hold secrets or the source of one.
_SECRET = {
    "generic_secret",
    "hmac_secret",
    "password",
    "private_key",
    "session_ticket_keys",
    "token_secret",
}
_CONTENT = ("inline_bytes", "inline_string", "environment_variable")
_MARK = "PRIVATE KEY-----"
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def redact(value: t.Any) -> t.Any:
    """The dump with every secret replaced. File names stay: they say where, not what."""
    if isinstance(value, dict):
        return {key: _field(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redact(inner) for inner in value]
    if isinstance(value, str) and _holds_key(value):
        return REDACTED
    return value


def _field(key: str, value: t.Any) -> t.Any:
    return _emptied(value) if _CAPITAL.sub("_", key).lower() in _SECRET else redact(value)


def _emptied(value: t.Any) -> t.Any:
    """A secret's field: what it holds is replaced, its shape stays readable for istioctl."""
    if isinstance(value, list):
        return [_emptied(inner) for inner in value]
    if not isinstance(value, dict):
        return REDACTED
    found = {}
    for key, inner in value.items():
        name = _CAPITAL.sub("_", key).lower()
        if name == "inline_bytes":
            found[key] = base64.b64encode(REDACTED.encode()).decode()
        else:
            found[key] = REDACTED if name in _CONTENT else _emptied_unless_place(name, inner)
    return found


def _emptied_unless_place(name: str, value: t.Any) -> t.Any:
    return value if name in ("filename", "watched_directory") else _emptied(value)


def _holds_key(text: str) -> bool:
    if _MARK in text:
        return True
    # The same in base64, as `bytes` of protobuf's JSON are.
    return text.startswith("LS0tLS1CRUdJTi") and _MARK in _decoded(text)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text[: len(text) // 4 * 4]).decode("ascii", "replace")
    except ValueError:
        return ""
