# SPDX-License-Identifier: GPL-3.0-or-later
"""The small certificate reader against certificates that a real library made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.x509 import (
    read_der,
    read_pem,
    subject_of,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_START = datetime(2026, 11, 21, 11, 42, 7, tzinfo=UTC)


def _certificate(
    serial: int,
    begin: datetime = _START,
    lifetime: timedelta = timedelta(hours=24),
    subject: x509.Name | None = None,
) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    uri = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/api")
    return (
        x509.CertificateBuilder()
        .subject_name(subject or x509.Name([]))
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(begin + lifetime)
        .add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        .sign(key, hashes.SHA256())
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    "serial",
    [1, 0x7F, 0x80, 0xFF00, 0x7A1FC03E9D22B84415C6F0A97D5E21B0C4D2AA10, (1 << 159) - 1],
)
def test_serial_numbers_of_every_length(serial: int) -> None:
    assert read_pem(_pem(_certificate(serial))).serial == f"{serial:x}"


def test_subjects() -> None:
    oid = x509.NameOID
    parts = ((oid.ORGANIZATION_NAME, "Röt"), (oid.COMMON_NAME, "root"), (oid.SERIAL_NUMBER, "7"))
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])
    der = _certificate(1, subject=name).public_bytes(serialization.Encoding.DER)
    assert subject_of(der) == "O=Röt, CN=root, 7"
    assert subject_of(_certificate(1).public_bytes(serialization.Encoding.DER)) == ""


def test_validity() -> None:
    found = read_pem(_pem(_certificate(1)))
    assert found.not_before == "2026-11-21T11:42:07Z"
    assert found.not_after == "2026-11-22T11:42:07Z"


def test_validity_on_both_sides_of_the_change_of_its_encoding() -> None:
    # RFC 5280 has UTCTime until 2049 and GeneralizedTime from 2050 on.
    begin = datetime(1995, 1, 2, 3, 4, 5, tzinfo=UTC)
    end = datetime(2061, 12, 31, 23, 59, 59, tzinfo=UTC)
    found = read_pem(_pem(_certificate(1, begin, end - begin)))
    assert (found.not_before, found.not_after) == ("1995-01-02T03:04:05Z", "2061-12-31T23:59:59Z")


def test_the_first_of_a_chain_is_read() -> None:
    chain = _pem(_certificate(0xA)) + _pem(_certificate(0xB))
    assert read_pem("text before\n" + chain).serial == "a"


def test_every_truncation_is_an_error_and_no_crash() -> None:
    der = _certificate(0x1234).public_bytes(serialization.Encoding.DER)
    for length in range(len(der)):
        with pytest.raises(ValueError, match=r"\w"):
            read_der(der[:length])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\nMIIB", "no PEM certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----", "not base64"),
        ("-----BEGIN CERTIFICATE-----\nAgEB\n-----END CERTIFICATE-----", "expected 0x30"),
        ("-----BEGIN CERTIFICATE-----\nMIA=\n-----END CERTIFICATE-----", "no DER length"),
    ],
)
def test_what_is_no_certificate_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_pem(text)
