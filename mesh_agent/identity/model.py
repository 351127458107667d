# SPDX-License-Identifier: Apache-2.0
"""Values of the identity: a certificate with its key, and what is said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from mesh_core.errors import MeshError


class IdentityError(MeshError):
    """A certificate could not be had or read; the text says why and what helps."""


class IdentityState(StrEnum):
    """What the host can prove now."""

    NONE = "none"
    VALID = "valid"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class CertificateDetails:
    """What a certificate says of itself. ``serial`` is hexadecimal, times are in UTC."""

    spiffe_id: str
    serial: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """A private key, its certificate with intermediates, and the root that peers are checked by.

    ``directory`` holds the same as key.pem, cert-chain.pem and root-cert.pem, for TLS libraries
    that read files. ``received`` is when this host got it (UTC).
    """

    details: CertificateDetails
    received: datetime
    directory: Path
    key_pem: bytes = field(repr=False)
    chain_pem: bytes = field(repr=False)
    root_pem: bytes = field(repr=False)

    @property
    def key_path(self) -> Path:
        """The private key's file."""
        return self.directory / "key.pem"

    @property
    def chain_path(self) -> Path:
        """The file with the certificate and its intermediates."""
        return self.directory / "cert-chain.pem"

    def valid_at(self, moment: datetime) -> bool:
        """Whether peers with a right clock accept it at ``moment``."""
        return self.details.not_before <= moment < self.details.not_after


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    """The identity as operators see it; ``needs_token``: nothing but a new join token helps."""

    state: IdentityState
    spiffe_id: str
    serial: str | None
    not_before: datetime | None
    not_after: datetime | None
    needs_token: bool
    last_error: str | None
