# SPDX-License-Identifier: Apache-2.0
"""Service account tokens that TokenRequest does not give: shorter than ten minutes, or expired."""

from __future__ import annotations

import time
import uuid

import jwt

from lab.cluster.api_plan import ISSUER


def sign(
    key: bytes, namespace: str, service_account: str, uid: str, audience: str, seconds: int
) -> str:
    """A token as the API server makes it, signed with its own key (PEM).

    `uid` is the ServiceAccount's; `seconds` may be negative: the token is then past its end.
    """
    now = int(time.time())
    begin = now + min(0, seconds) - 1
    claims = {
        "aud": [audience],
        "iss": ISSUER,
        "sub": f"system:serviceaccount:{namespace}:{service_account}",
        "jti": str(uuid.uuid4()),
        "iat": begin,
        "nbf": begin,
        "exp": now + seconds,
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": service_account, "uid": uid},
        },
    }
    return jwt.encode(claims, key, algorithm="RS256")
