# SPDX-License-Identifier: Apache-2.0
"""``istio.v1.auth.IstioCertificateService/CreateCertificate``.

The names in a request are ignored: a certificate carries the identity that the caller has proved,
by its present certificate (not limited) or by a join token (once).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from google.protobuf.message import DecodeError
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from mesh_control.ca.caller import AuthenticationError, of_certificate
from mesh_control.ca.spent import SpentTokens
from mesh_control.ca.tokens import Claims, Tokens
from mesh_control.settings import Certificates
from mesh_control.web.metrics import Metrics
from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId
from mesh_core.pki import Authority, read_certificate
from mesh_core.wire.messages import IstioCertificateRequest, IstioCertificateResponse
from mesh_core.wire.rpc import BytesStream, peer_uris

log = logging.getLogger(__name__)

_BEARER = "bearer "
# What a request's ``validity_duration`` may be at most before it is compared (timedelta's range).
_LONGEST = int(timedelta(days=36500).total_seconds())


class CertificateService:
    """Answers CreateCertificate; the texts of its errors are for who reads the log of a host."""

    def __init__(
        self,
        authority: Authority,
        tokens: Tokens,
        spent: SpentTokens,
        limits: Certificates,
        trust_domain: str,
        metrics: Metrics,
    ) -> None:
        self._authority = authority
        self._tokens = tokens
        self._spent = spent
        self._limits = limits
        self._trust_domain = trust_domain
        self._requests = metrics.counter(
            "citadel_server_csr_count", "Certificate requests received."
        )
        self._issued = metrics.counter(
            "citadel_server_success_cert_issuance_count", "Certificates issued."
        )
        self._strangers = metrics.counter(
            "citadel_server_authentication_failure_count", "Requests of callers without proof."
        )
        self._unreadable = metrics.counter(
            "citadel_server_csr_parsing_err_count", "Requests that could not be read."
        )

    @property
    def issued(self) -> int:
        """How many certificates were issued since the start."""
        return int(self._issued.value())

    @property
    def refused(self) -> int:
        """How many requests were refused since the start."""
        return int(self._requests.value() - self._issued.value())

    async def create_certificate(self, stream: BytesStream) -> None:
        """Serve one call."""
        data = await stream.recv_message()
        headers = stream.metadata or {}
        try:
            chain = await self.sign(
                data or b"", peer_uris(stream), str(headers.get("authorization", ""))
            )
        except GRPCError as error:
            log.warning("no certificate for %s: %s", _address(stream), error.message)
            raise
        await stream.send_message(IstioCertificateResponse(cert_chain=chain).SerializeToString())

    async def sign(self, data: bytes, uris: Sequence[str], authorization: str) -> list[str]:
        """Return the chain for a serialised request: leaf, intermediates, root bundle (PEM).

        ``uris`` are the verified client certificate's, ``authorization`` the header's value.
        Raises GRPCError.
        """
        self._requests.inc()
        try:
            request = IstioCertificateRequest.FromString(data)
            csr = str(request.csr).encode()
            key = _key_hash(csr)
        except (DecodeError, ValueError) as error:
            self._unreadable.inc()
            raise GRPCError(
                Status.INVALID_ARGUMENT, f"expected a PEM certificate request: {error}"
            ) from error
        lifetime = self._lifetime(int(request.validity_duration))
        identity, claims = self._caller(uris, authorization)
        try:
            chain = self._authority.issue(csr, uris=[str(identity)], lifetime=lifetime)
        except MeshError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from error
        if claims:
            await self._spend(claims, key)
        self._issued.inc()
        leaf = read_certificate(chain[0].encode())
        log.info(
            "certificate %s for %s until %s, by %s",
            leaf.serial_hex,
            identity,
            f"{leaf.not_after:%Y-%m-%dT%H:%M:%SZ}",
            f"token {claims.id}" if claims else "certificate",
        )
        return chain

    def _caller(self, uris: Sequence[str], authorization: str) -> tuple[SpiffeId, Claims | None]:
        """Return who calls, and the token that says so unless the certificate does."""
        try:
            return of_certificate(uris, self._trust_domain), None
        except AuthenticationError as error:
            why = str(error)
        try:
            if not authorization.lower().startswith(_BEARER):
                raise AuthenticationError("no bearer token")
            claims = self._tokens.verify(authorization[len(_BEARER) :].strip())
        except AuthenticationError as error:
            self._strangers.inc()
            raise GRPCError(Status.UNAUTHENTICATED, f"{why}; {error}") from error
        return claims.identity, claims

    async def _spend(self, claims: Claims, key: str) -> None:
        try:
            await self._spent.spend(claims, key)
        except AuthenticationError as error:
            self._strangers.inc()
            raise GRPCError(Status.UNAUTHENTICATED, str(error)) from error
        except OSError as error:
            log.exception("the use of a token cannot be recorded")
            raise GRPCError(
                Status.UNAVAILABLE, f"the use of the token cannot be recorded: {error.strerror}"
            ) from error

    def _lifetime(self, seconds: int) -> timedelta:
        if seconds <= 0:
            return self._limits.default_lifetime
        asked = timedelta(seconds=min(seconds, _LONGEST))
        if asked > self._limits.maximum_lifetime:
            raise GRPCError(
                Status.INVALID_ARGUMENT,
                f"validity: expected at most {self._limits.maximum_lifetime_seconds} seconds, "
                f"found {seconds}",
            )
        return asked


def _key_hash(csr: bytes) -> str:
    """Return a hash of the request's public key; ValueError when there is no request."""
    public = x509.load_pem_x509_csr(csr).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def _address(stream: BytesStream) -> str:
    address = stream.peer.addr() if stream.peer else None
    return str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) else "somebody"
