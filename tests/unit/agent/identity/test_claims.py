# SPDX-License-Identifier: Apache-2.0
"""What is said of a token that was refused, and never the token."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mesh_agent.identity.claims import sent


def token(claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


def test_cluster_and_audience_are_told_apart() -> None:
    account = "system:serviceaccount:shop:api"
    found = sent(token({"aud": ["vault", "x"], "sub": account, "exp": 1777636800}), "cluster9")
    assert found == (
        "sent the cluster ID cluster9 and a token for the audience vault, x and the account "
        f"{account}, valid until 2026-05-01 12:00:00 UTC"
    )


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b.c", "a.\u00e9.c", token([1]), token({}), token("x")]
)
def test_a_token_without_claims_is_not_shown(text: str) -> None:
    assert sent(text, "c") == "sent the cluster ID c and a token without claims"


def test_an_odd_end_is_shown_as_it_is() -> None:
    assert "valid until 1e+99" in sent(token({"aud": "a", "exp": 1e99}), "c")
