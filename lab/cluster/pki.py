# SPDX-License-Identifier: Apache-2.0
"""A small certificate authority: of an API server, or the root of a mesh."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
SKEW = timedelta(hours=1)
# The name of an istiod of any cluster, as its certificate has it.
ISTIOD_NAME = "istiod.istio-system.svc"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates for names that the caller vouches for."""

    def __init__(self, pair: Pair) -> None:
        key = serialization.load_pem_private_key(pair.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"expected an EC key, found {type(key).__name__}")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        self.pair = pair

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new root."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name, ())
        return cls(_signed(_authority(subject, subject, key, None), key, key))

    @classmethod
    def open(cls, directory: Path, name: str) -> Authority:
        """The authority of ca.crt and ca.key in `directory`; made when they are not there."""
        certificate, key = directory / "ca.crt", directory / "ca.key"
        if not key.exists():
            authority = cls.create(name)
            directory.mkdir(parents=True, exist_ok=True)
            certificate.write_bytes(authority.pair.certificate)
            write_secret(key, authority.pair.key)
        return cls(Pair(certificate.read_bytes(), key.read_bytes()))

    def intermediate(self, name: str) -> Authority:
        """A new authority that signs leaves, under this one."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _authority(_subject(name, ()), self._certificate.subject, key, 0)
        return Authority(_signed(builder, key, self._key))

    def issue(self, name: str, *, groups: Sequence[str] = (), sans: Sequence[str] = ()) -> Pair:
        """A certificate for both ends of TLS: CN `name`, O `groups`, SANs addresses or DNS names.

        To an API server, CN is the user and every O a group.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_subject(name, groups), self._certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
        )
        if sans:
            names = x509.SubjectAlternativeName([_san(san) for san in sans])
            builder = builder.add_extension(names, critical=False)
        return _signed(builder, key, self._key)


def signing_key() -> bytes:
    """A new RSA key, PEM: an API server signs its service account tokens with it."""
    return _key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def write_cacerts(directory: Path, root: Authority, name: str) -> None:
    """Write an intermediate under `root` in the layout of Istio's `cacerts` secret.

    Clusters whose intermediates are of one root trust each other's workloads.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = root.intermediate(name)
    (directory / "ca-cert.pem").write_bytes(signer.pair.certificate)
    (directory / "cert-chain.pem").write_bytes(signer.pair.certificate + root.pair.certificate)
    (directory / "root-cert.pem").write_bytes(root.pair.certificate)
    write_secret(directory / "ca-key.pem", signer.pair.key)


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _authority(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, length: int | None
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _builder(subject, issuer, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Pair:
    certificate = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
    ).sign(signer, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _subject(name: str, groups: Sequence[str]) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _san(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
