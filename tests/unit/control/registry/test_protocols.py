# SPDX-License-Identifier: Apache-2.0
"""Ports to protocols."""

from __future__ import annotations

import pytest

from mesh_control.model import Protocol
from mesh_control.registry.protocols import protocol


@pytest.mark.parametrize(
    ("name", "number", "explicit", "expected"),
    [
        ("http", 80, "", Protocol.HTTP),
        ("http-api", 80, "", Protocol.HTTP),
        ("HTTP2-x", 80, "", Protocol.HTTP2),
        ("grpc", 80, "", Protocol.GRPC),
        ("grpc-web-x", 80, "", Protocol.HTTP2),
        ("https", 443, "", Protocol.HTTPS),
        ("tls-istiod", 15012, "", Protocol.TLS),
        ("tcp-postgres", 5432, "", Protocol.TCP),
        ("postgres", 5432, "", Protocol.TCP),
        ("redis", 6379, "", Protocol.TCP),
        ("web", 80, "", Protocol.AUTO),
        ("", 80, "", Protocol.AUTO),
        ("httpx", 80, "", Protocol.AUTO),
        ("", 3306, "", Protocol.TCP),
        ("http", 3306, "", Protocol.HTTP),
        ("tcp", 80, "http", Protocol.HTTP),
        ("tcp", 80, "kubernetes.io/h2c", Protocol.HTTP2),
        ("http", 80, "own.org/thing", Protocol.AUTO),
        ("x", 1, "TLS", Protocol.TLS),
    ],
)
def test_protocols(name: str, number: int, explicit: str, expected: Protocol) -> None:
    assert protocol(name, number, explicit) is expected
