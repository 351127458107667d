# SPDX-License-Identifier: Apache-2.0
"""Domain names as text and as they stand in messages (RFC 1035, section 3.1)."""

from __future__ import annotations

import ipaddress

ROOT = b"\0"

_MAX_LABEL = 63
_MAX_NAME = 255

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def to_wire(name: str) -> bytes:
    """Return the lower-case wire form; a trailing dot makes no difference.

    ``"Api.shop."`` becomes ``b"\\x03api\\x04shop\\0"``. Raises ValueError.
    """
    text = name.removesuffix(".")
    if not text:
        return ROOT
    try:
        labels = text.lower().encode("ascii").split(b".")
    except UnicodeEncodeError as error:
        raise ValueError(f"expected a domain name in ASCII, found {name!r}") from error
    for label in labels:
        if not 0 < len(label) <= _MAX_LABEL:
            raise ValueError(f"expected labels of 1 to {_MAX_LABEL} characters, found {name!r}")
    wire = b"".join(bytes([len(label)]) + label for label in labels) + ROOT
    if len(wire) > _MAX_NAME:
        raise ValueError(f"expected a name of at most {_MAX_NAME} bytes, found {name!r}")
    return wire


def parent(wire: bytes) -> bytes:
    """Return the name without its first label; not for the root."""
    return wire[wire[0] + 1 :]


def strip_suffix(wire: bytes, suffix: bytes) -> bytes | None:
    """Return what stands before ``suffix`` (itself a whole name), or None when nothing does."""
    start = len(wire) - len(suffix)
    if start <= 0 or not wire.endswith(suffix):
        return None
    at = 0
    while at < start:  # the suffix must begin where a label does
        at += wire[at] + 1
    return wire[:start] + ROOT if at == start else None


def reverse_name(address: Address) -> bytes:
    """Return the name that PTR questions about ``address`` ask for."""
    return to_wire(address.reverse_pointer)
