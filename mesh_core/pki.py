# SPDX-License-Identifier: Apache-2.0
"""Keys, certificate requests, certificates, and the authority that signs them.

Workload certificates look as istiod's: empty subject, critical URI name, server and client use.
The authority's directory has the layout of Istio's ``cacerts`` secret, so an operator's own
intermediate is put there as it would be for istiod.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mesh_core.clock import Clock, SystemClock
from mesh_core.errors import MeshError
from mesh_core.files import write_atomic

ROOT_LIFETIME = timedelta(days=3650)
# Certificates begin a little in the past, so that a host whose clock is behind accepts them.
CLOCK_SKEW = timedelta(minutes=2)

_NO_USE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What people and rotation want to know of a certificate. Times are in UTC."""

    serial_hex: str
    not_before: datetime
    not_after: datetime
    uri_sans: tuple[str, ...]
    dns_sans: tuple[str, ...]
    subject: str
    issuer: str


def new_key() -> bytes:
    """Return a new P-256 key as PKCS#8 PEM."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def new_csr(key_pem: bytes, uri: str) -> bytes:
    """Return a PEM certificate request for the SPIFFE id ``uri``, signed with ``key_pem``."""
    key = serialization.load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise MeshError(f"expected an EC or RSA key, found {type(key).__name__}")
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(names, critical=True)
        .sign(key, hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def read_certificate(pem: bytes) -> CertificateInfo:
    """Describe the first certificate of a PEM text; ValueError when there is none."""
    certificate = x509.load_pem_x509_certificates(pem)[0]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
        dns = tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        uris, dns = (), ()
    return CertificateInfo(
        serial_hex=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        uri_sans=uris,
        dns_sans=dns,
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
    )


def key_matches(key_pem: bytes, certificate_pem: bytes) -> bool:
    """Whether the key belongs to the first certificate; ValueError when either is unreadable."""
    key = serialization.load_pem_private_key(key_pem, None)
    return _public(key.public_key()) == _public(
        x509.load_pem_x509_certificate(certificate_pem).public_key()
    )


class Authority:
    """Signs certificate requests. Names in a request are ignored: the caller's proof decides."""

    def __init__(
        self,
        key_pem: bytes,
        certificate_pem: bytes,
        chain_pem: bytes,
        root_pem: bytes,
        clock: Clock,
    ) -> None:
        key = serialization.load_pem_private_key(key_pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise MeshError(f"expected an EC or RSA key, found {type(key).__name__}")
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        self._chain = [_pem(c) for c in _certificates(chain_pem)]
        self._clock = clock
        self.root_pem = root_pem.decode()

    @classmethod
    def open(cls, directory: Path, trust_domain: str, clock: Clock | None = None) -> Authority:
        """Read ca-key, ca-cert, cert-chain and root-cert.pem; with none there, make a root.

        MeshError names the file that is missing, unreadable or does not fit.
        """
        clock = clock or SystemClock()
        names = ("ca-key.pem", "ca-cert.pem", "cert-chain.pem", "root-cert.pem")
        paths = [directory / name for name in names]
        if not any(path.exists() for path in paths):
            _create(directory, trust_domain, clock.now())
        contents = []
        for path in paths:
            try:
                contents.append(path.read_bytes())
            except OSError as error:
                raise MeshError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            fits = key_matches(contents[0], contents[1])
        except ValueError as error:
            raise MeshError(f"{directory}: expected PEM keys and certificates: {error}") from error
        if not fits:
            raise MeshError(f"{paths[0]}: is not the key of {paths[1]}")
        return cls(contents[0], contents[1], contents[2], contents[3], clock)

    def issue(
        self,
        csr_pem: bytes,
        *,
        uris: Sequence[str] = (),
        dns: Sequence[str] = (),
        ips: Sequence[str] = (),
        lifetime: timedelta,
    ) -> list[str]:
        """Sign the request's public key for the given names.

        Returns PEM texts: leaf, intermediates, and the root bundle as the last one. The life is cut
        to the signing certificate's. MeshError for a request that is unreadable or not self-signed.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem)
            valid = request.is_signature_valid
        except (ValueError, InvalidSignature) as error:
            raise MeshError(f"expected a PEM certificate request: {error}") from error
        if not valid:
            raise MeshError("the certificate request is not signed by its own key")
        now = self._clock.now()
        end = min(now + lifetime, self._certificate.not_valid_after_utc)
        if end <= now:
            raise MeshError(f"the signing certificate expired at {end:%Y-%m-%dT%H:%M:%SZ}")
        leaf = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(end)
            .add_extension(_names(uris, dns, ips), critical=True)
            .add_extension(
                x509.KeyUsage(**_NO_USE | {"digital_signature": True, "key_encipherment": True}),
                critical=True,
            )
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return [_pem(leaf), *self._chain, self.root_pem]


def _create(directory: Path, trust_domain: str, now: datetime) -> None:
    """Make a self-signed authority, as istiod does when it is given none."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain),
            x509.NameAttribute(NameOID.COMMON_NAME, "hybrid.mesh root"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(**_NO_USE | {"key_cert_sign": True, "crl_sign": True}), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    pem = _pem(certificate)
    write_atomic(directory / "ca-cert.pem", pem)
    write_atomic(directory / "cert-chain.pem", "")
    write_atomic(directory / "root-cert.pem", pem)
    write_atomic(directory / "ca-key.pem", _key_pem(key), 0o600)


def _names(
    uris: Iterable[str], dns: Iterable[str], ips: Iterable[str]
) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            *(x509.UniformResourceIdentifier(uri) for uri in uris),
            *(x509.DNSName(name) for name in dns),
            *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips),
        ]
    )


def _certificates(pem: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(pem) if pem.strip() else []


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError(f"expected an EC or RSA key, found {type(key).__name__}")
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
