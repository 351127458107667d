# SPDX-License-Identifier: Apache-2.0
"""What a join token says of itself (RFC 7519), unverified, for whoever asks why it was refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def sent(token: str, cluster_id: str) -> str:
    """What a refused host sent, as far as it is no secret.

    istiod looks for the cluster first, then at the token's audience, subject and end; its answer
    does not always say which of them it was.
    """
    parts = [f"sent the cluster ID {cluster_id}"]
    found = _read(token)
    if found:
        audience = found.get("aud")
        names = audience if isinstance(audience, list) else [audience]
        parts.append(
            f"a token for the audience {', '.join(map(str, names))} and the account "
            f"{found.get('sub')}, valid until {_time(found.get('exp'))}"
        )
    else:
        parts.append("a token without claims")
    return " and ".join(parts)


def _read(token: str) -> Mapping[str, Any]:
    body = token.split(".")[1:2]
    try:
        found = json.loads(base64.urlsafe_b64decode("".join(body) + "==="))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _time(seconds: object) -> str:
    try:
        return f"{datetime.fromtimestamp(float(str(seconds)), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return str(seconds)
