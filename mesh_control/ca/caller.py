# SPDX-License-Identifier: Apache-2.0
"""Who is calling: the SPIFFE id of the client certificate that TLS has verified."""

from __future__ import annotations

from collections.abc import Sequence

from mesh_core.errors import MeshError
from mesh_core.identity import SpiffeId


class AuthenticationError(MeshError):
    """The caller has not proved who it is; the text says what was found and expected."""


def of_certificate(uris: Sequence[str], trust_domain: str) -> SpiffeId:
    """Return the identity in the URI names of a verified client certificate.

    Raises AuthenticationError when there is no certificate, or none of this trust domain.
    """
    if not uris:
        raise AuthenticationError("no client certificate")
    found = ", ".join(uris)
    if len(uris) > 1:
        raise AuthenticationError(f"client certificate: expected one URI name, found {found}")
    try:
        identity = SpiffeId.parse(uris[0])
    except ValueError as error:
        raise AuthenticationError(f"client certificate: {error}") from error
    if identity.trust_domain != trust_domain:
        raise AuthenticationError(
            f"client certificate: expected trust domain {trust_domain}, found {found}"
        )
    return identity
