# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from mesh_agent.identity.model import CertificateDetails, Identity
from mesh_agent.sds.secrets import build

NOW = datetime(2030, 1, 1, tzinfo=UTC)
IDENTITY = Identity(
    CertificateDetails("spiffe://cluster.local/ns/a/sa/b", "1", NOW, NOW),
    NOW,
    Path("set"),
    b"key",
    b"chain",
    b"root",
)


def test_the_two_secrets() -> None:
    certificate = secret_pb2.Secret.FromString(build("default", IDENTITY))
    assert certificate.name == "default"
    assert certificate.tls_certificate.certificate_chain.inline_bytes == b"chain"
    assert certificate.tls_certificate.private_key.inline_bytes == b"key"
    root = secret_pb2.Secret.FromString(build("ROOTCA", IDENTITY))
    assert root.name == "ROOTCA"
    assert root.validation_context.trusted_ca.inline_bytes == b"root"
    with pytest.raises(KeyError):
        build("other", IDENTITY)
