# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Tokens of service accounts: requests, and what they say. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    path_of,
)

Object = t.Dict[str, t.Any]

# The API server gives none for less (TokenRequestSpec.expirationSeconds).
SHORTEST_SECONDS = 600
REVIEW_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"


def request_path(namespace: str, service_account: str) -> str:
    """Where tokens of a service account are asked for."""
    return path_of("/api/v1", namespace, "serviceaccounts", service_account) + "/token"


def request(audience: str, seconds: int) -> Object:
    """A TokenRequest."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [audience], "expirationSeconds": seconds},
    }


def review(token: str, audiences: t.Sequence[str]) -> Object:
    """A TokenReview: the question that istiod asks about a host's token."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": list(audiences)},
    }


def refusal(answer: Object) -> str:
    """Why a token would be refused, from the answer to a TokenReview; empty when it would not."""
    status = answer.get("status") or {}
    if status.get("authenticated"):
        return ""
    return str(status.get("error") or "the API server does not authenticate it")


def claims(token: str) -> Object:
    """The claims of a token (RFC 7519), unverified. Raises BootstrapError, never with the token."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BootstrapError("the API server's answer holds no token of three parts")
    body = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        found = json.loads(base64.urlsafe_b64decode(body))
    except (binascii.Error, ValueError) as error:
        raise BootstrapError("the API server's answer holds a token without claims") from error
    return found if isinstance(found, dict) else {}


def istiods_audiences(deployment: Object | None) -> list[str]:
    """Audiences that istiod accepts: TOKEN_AUDIENCES of its Deployment, ``istio-ca`` otherwise."""
    given = environment(deployment).get("TOKEN_AUDIENCES", "")
    return [entry.strip() for entry in given.split(",") if entry.strip()] or ["istio-ca"]


def environment(deployment: Object | None) -> dict[str, str]:
    """Literal environment variables of the containers of a Deployment."""
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    return {
        entry["name"]: str(entry.get("value") or "")
        for container in (template.get("spec") or {}).get("containers") or []
        for entry in container.get("env") or []
    }
