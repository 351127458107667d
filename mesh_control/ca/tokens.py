# SPDX-License-Identifier: Apache-2.0
"""Join tokens: short-lived JWTs (ES256) by which a host without a certificate gets its first one.

They carry what Kubernetes' service account tokens carry for istiod: audience, ``sub``
``system:serviceaccount:NAMESPACE:ACCOUNT``, expiry. Times are checked against the given clock.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mesh_control.ca.caller import AuthenticationError
from mesh_core.clock import Clock
from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId
from mesh_core.pki import new_key

ISSUER: Final = "mesh-control"
_ALGORITHM: Final = "ES256"
_SUBJECT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Token:
    """A new token. ``text`` is a secret until the token is used or expired."""

    text: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says: whose it is, its own id, and its end."""

    identity: SpiffeId
    id: str
    expires: datetime


class Tokens:
    """Makes and checks tokens of one key. Which ones were used, `SpentTokens` knows."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        *,
        audience: str,
        trust_domain: str,
        lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._key = key
        self._audience = audience
        self._trust_domain = trust_domain
        self._lifetime = lifetime
        self._clock = clock

    def issue(
        self, namespace: str, service_account: str, lifetime: timedelta | None = None
    ) -> Token:
        """Make a token for a host that runs as ``namespace``/``service_account``.

        MeshError when the two are no names.
        """
        try:
            SpiffeId.parse(str(SpiffeId(self._trust_domain, namespace, service_account)))
        except ValueError as error:
            raise MeshError(
                "expected names for namespace and service account, "
                f"found {namespace!r} and {service_account!r}"
            ) from error
        now = self._clock.now().replace(microsecond=0)
        expires = now + (lifetime or self._lifetime)
        claims = {
            "iss": ISSUER,
            "aud": [self._audience],
            "sub": f"{_SUBJECT}{namespace}:{service_account}",
            "iat": now,
            "exp": expires,
            "jti": secrets.token_urlsafe(16),
        }
        return Token(jwt.encode(claims, self._key, algorithm=_ALGORITHM), expires)

    def verify(self, text: str) -> Claims:
        """Return what the token says; AuthenticationError tells what is wrong with it."""
        claims = self._claims(text)
        expires = datetime.fromtimestamp(int(claims["exp"]), UTC)
        now = self._clock.now()
        if now >= expires:
            raise AuthenticationError(f"token expired at {_time(expires)}, it is {_time(now)} here")
        parts = str(claims["sub"]).removeprefix(_SUBJECT).split(":")
        try:
            namespace, account = parts
            uri = str(SpiffeId(self._trust_domain, namespace, account))
            identity = SpiffeId.parse(uri)
        except ValueError as error:
            raise AuthenticationError(
                f"token subject: expected {_SUBJECT}NAMESPACE:ACCOUNT, found {claims['sub']!r}"
            ) from error
        return Claims(identity, str(claims["jti"]), expires)

    def _claims(self, text: str) -> Mapping[str, Any]:
        try:
            return jwt.decode(
                text,
                self._key.public_key(),
                algorithms=[_ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                options={
                    "require": ["aud", "exp", "iss", "jti", "sub"],
                    # Against our clock, in verify().
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidSignatureError as error:
            raise AuthenticationError(
                "token signature: not made by this control plane's key"
            ) from error
        except jwt.InvalidAudienceError as error:
            found = _unverified(text, "aud")
            raise AuthenticationError(
                f"token audience: expected {self._audience}, found {found}"
            ) from error
        except jwt.InvalidIssuerError as error:
            found = _unverified(text, "iss")
            raise AuthenticationError(f"token issuer: expected {ISSUER}, found {found}") from error
        except jwt.InvalidTokenError as error:
            raise AuthenticationError(f"token: expected a JWT of {ISSUER}: {error}") from error


def open_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the signing key, made at the first time (0600 in a directory 0700)."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(new_key())
            stream.flush()
            os.fsync(stream.fileno())
    return read_key(path)


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the signing key; MeshError when it is not there or not one."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError as error:
        raise MeshError(
            f"{path}: is not there: the control plane makes it when it first starts"
        ) from error
    except OSError as error:
        raise MeshError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise MeshError(f"{path}: expected a PEM private key without password: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise MeshError(f"{path}: expected a P-256 key")
    return key


def _unverified(text: str, claim: str) -> str:
    """Return a claim for a message; only of tokens whose signature is good."""
    value = jwt.decode(text, options={"verify_signature": False}).get(claim)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
