# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Serial number and validity of a certificate, with nothing but the standard library.

They are the first fields of TBSCertificate (RFC 5280, section 4.1), so a reader of a few DER
elements is enough; nothing here verifies a signature: the proxy did that in its handshake.
"""

from __future__ import annotations

import base64
import binascii
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

_INTEGER = 0x02
_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
# How names of subjects are written (RFC 4514, section 3), by the last byte of 2.5.4.N.
_ATTRIBUTES = {3: "CN", 6: "C", 7: "L", 8: "ST", 10: "O", 11: "OU"}
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Certificate:
    """serial: lower-case hexadecimal without leading zeros; times: UTC, 2026-01-31T12:00:00Z."""

    serial: str
    not_before: str
    not_after: str


class _Element(t.NamedTuple):
    tag: int
    start: int
    end: int


def read_pem(text: str) -> Certificate:
    """The first certificate of a PEM text. ValueError says what is wrong with it."""
    begin, rest = text.partition(_BEGIN)[1:]
    body, end = rest.partition(_END)[:2]
    if not begin or not end:
        raise ValueError("no PEM certificate")
    try:
        return read_der(base64.b64decode("".join(body.split()), validate=True))
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error


def read_der(data: bytes) -> Certificate:
    """A DER certificate. ValueError says what is wrong with it."""
    serial, validity, _limit = _fields(data)
    not_before = _element(data, validity.start, validity.end)
    not_after = _element(data, not_before.end, validity.end)
    return Certificate(
        serial=f"{int.from_bytes(data[serial.start : serial.end], 'big'):x}",
        not_before=_time(data, not_before),
        not_after=_time(data, not_after),
    )


def subject_of(data: bytes) -> str:
    """The subject of a DER certificate, ``O=cluster.local``, in its own order.

    ValueError says what is wrong with the certificate.
    """
    _serial, validity, limit = _fields(data)
    subject = _expect(data, validity.end, limit, _SEQUENCE)
    parts, offset = [], subject.start
    while offset < subject.end:
        names = _element(data, offset, subject.end)
        attribute = _expect(data, names.start, names.end, _SEQUENCE)
        kind = _element(data, attribute.start, attribute.end)
        value = _element(data, kind.end, attribute.end)
        known = data[kind.start : kind.end - 1] == b"\x55\x04"
        name = _ATTRIBUTES.get(data[kind.end - 1], "") if known else ""
        text = data[value.start : value.end].decode("utf-8", "replace")
        parts.append(f"{name}={text}" if name else text)
        offset = names.end
    return ", ".join(parts)


def _fields(data: bytes) -> tuple[_Element, _Element, int]:
    """Serial number, validity, and where the fields end."""
    certificate = _expect(data, 0, len(data), _SEQUENCE)
    fields = _expect(data, certificate.start, certificate.end, _SEQUENCE)
    offset = fields.start
    first = _element(data, offset, fields.end)
    if first.tag == _VERSION:
        offset = first.end
    serial = _expect(data, offset, fields.end, _INTEGER)
    signature = _expect(data, serial.end, fields.end, _SEQUENCE)
    issuer = _expect(data, signature.end, fields.end, _SEQUENCE)
    return serial, _expect(data, issuer.end, fields.end, _SEQUENCE), fields.end


def _element(data: bytes, offset: int, limit: int) -> _Element:
    """One DER element that starts at offset and ends at limit at the latest."""
    if offset + 2 > limit:
        raise ValueError(f"certificate ends early, at byte {offset}")
    length, start = data[offset + 1], offset + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > limit:
            raise ValueError(f"no DER length at byte {offset + 1}")
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    if start + length > limit:
        raise ValueError(f"element at byte {offset} is longer than the certificate")
    return _Element(data[offset], start, start + length)


def _expect(data: bytes, offset: int, limit: int, tag: int) -> _Element:
    element = _element(data, offset, limit)
    if element.tag != tag:
        raise ValueError(f"tag 0x{element.tag:02x} at byte {offset}, expected 0x{tag:02x}")
    return element


def _time(data: bytes, element: _Element) -> str:
    text = data[element.start : element.end].decode("ascii", "replace")
    if element.tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits of the year, 50 and above are the twentieth century.
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError(f"tag 0x{element.tag:02x}, expected a time")
    moment = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
