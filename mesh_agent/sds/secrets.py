# SPDX-License-Identifier: Apache-2.0
"""The two secrets that Istio's configuration names, as Envoy reads them. Pure."""

from __future__ import annotations

from mesh_agent.identity.model import Identity
from mesh_core.wire.discovery import Secret

CERTIFICATE = "default"
ROOT = "ROOTCA"
NAMES = (CERTIFICATE, ROOT)


def build(name: str, identity: Identity) -> bytes:
    """Return the serialized ``envoy...tls.v3.Secret``; KeyError for a name that is not ours."""
    secret = Secret(name=name)
    if name == ROOT:
        secret.validation_context.trusted_ca.inline_bytes = identity.root_pem
    elif name == CERTIFICATE:
        secret.tls_certificate.certificate_chain.inline_bytes = identity.chain_pem
        secret.tls_certificate.private_key.inline_bytes = identity.key_pem
    else:
        raise KeyError(name)
    return bytes(secret.SerializeToString())
