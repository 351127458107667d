# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Root certificates, and what a control plane presents, with the standard library alone."""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import BootstrapError
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.x509 import (
    read_der,
    subject_of,
)

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_TIMEOUT_SECONDS = 5


def describe(pem: str, what: str) -> list[dict[str, str]]:
    """``subject``, ``sha256``, ``serial`` and times of each certificate of a PEM text, in order.

    Raises BootstrapError naming ``what`` when there is none, or one that cannot be read.
    """
    found = []
    for block in _BLOCK.findall(pem):
        try:
            der = ssl.PEM_cert_to_DER_cert(block)
            read = {"subject": subject_of(der), **vars(read_der(der))}
        except ValueError as error:
            raise BootstrapError(f"{what}: no certificate: {error}") from error
        found.append({"sha256": fingerprint(der), **read})
    if not found:
        raise BootstrapError(f"{what}: expected PEM certificates, found none")
    return found


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate, lower-case hexadecimal."""
    return hashlib.sha256(der).hexdigest()


def presented(address: str, server_name: str, root: str | None) -> dict[str, t.Any]:
    """What ``HOST:PORT`` presents in a TLS handshake that asks for ``server_name`` (SNI).

    ``server_names``: the certificate's names. ``trusted``: whether it chains to ``root`` (PEM),
    None without one. ``problem``: why something is not as it should be, empty when all is well.
    """
    found: dict[str, t.Any] = {
        "address": address,
        "server_names": [],
        "certificate": {},
        "trusted": None,
        "problem": "",
    }
    host, separator, port = address.rpartition(":")
    if not (separator and host and port.isdigit()):
        return {**found, "problem": f"{address}: expected HOST:PORT"}
    target = (host.strip("[]"), int(port))
    try:
        der = _handshake(target, server_name, None)
        found["certificate"] = {"sha256": fingerprint(der), **vars(read_der(der))}
        found["server_names"] = names_of(der)
        if root is not None:
            found["trusted"] = False
            _handshake(target, server_name, root)
            found["trusted"] = True
    except ssl.SSLCertVerificationError as error:
        reason = f"its certificate does not chain to the given root: {error.verify_message}"
        return {**found, "problem": f"{address}: {reason}"}
    except (OSError, ValueError, IndexError) as error:
        reason = getattr(error, "strerror", None) or error
        return {**found, "problem": f"{address}: {reason}"}
    if not is_named(server_name, found["server_names"]):
        names = ", ".join(found["server_names"]) or "none"
        found["problem"] = f"{address}: expected {server_name} among its names, found {names}"
    return found


def is_named(name: str, names: t.Collection[str]) -> bool:
    """Whether a certificate of these names is one for ``name`` (RFC 9525, section 6.3)."""
    return name in names or f"*.{name.partition('.')[2]}" in names


def _handshake(target: tuple[str, int], server_name: str, root: str | None) -> bytes:
    """The certificate (DER) that is presented; it must chain to ``root`` where that is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    context.verify_mode = ssl.CERT_NONE
    if root is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=root)
    plain = socket.create_connection(target, _TIMEOUT_SECONDS)
    with plain, context.wrap_socket(plain, server_hostname=server_name) as secured:
        return secured.getpeercert(binary_form=True) or b""


def names_of(der: bytes) -> list[str]:
    """DNS names and URIs among the certificate's alternative names (RFC 5280, 4.2.1.6)."""
    # The extension's identifier 2.5.29.17, then perhaps `critical`, then its value.
    found = re.search(rb"\x06\x03\x55\x1d\x11(?:\x01\x01\xff)?\x04", der)
    if found is None:
        return []
    names = []
    _tag, start, _end = _element(der, found.end() - 1)
    _tag, start, end = _element(der, start)
    while start < end:
        tag, value, after = _element(der, start)
        if tag in (0x82, 0x86):
            names.append(der[value:after].decode("ascii", "replace"))
        elif tag == 0x87 and after - value in (4, 16):
            family = socket.AF_INET if after - value == 4 else socket.AF_INET6
            names.append(socket.inet_ntop(family, der[value:after]))
        start = after
    return names


def _element(data: bytes, offset: int) -> tuple[int, int, int]:
    """Tag, start and end of one DER element; IndexError when the data end early."""
    length, start = data[offset + 1], offset + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    return data[offset], start, start + length
