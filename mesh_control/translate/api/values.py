# SPDX-License-Identifier: Apache-2.0
"""Values that Istio's API writes as text."""

from __future__ import annotations

import ipaddress
import re
import warnings
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|m|s)")
# Look-around, conditions, atomic groups, back-references: Python has them, RE2 does not.
_NOT_RE2 = re.compile(r"\(\?(<?[=!]|[>(])|\\[1-9]")
_NOT_PYTHON = re.compile(r"\\[pPQECz]|\[\[:|\(\?[imsU]*[-U]")


def parse_duration(text: str) -> timedelta:
    """Return ``1.5s``, ``2h30m``, ``250ms`` (Go's notation) as a time; ValueError otherwise."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration such as 1.5s or 2h30m")
    return sum((_UNITS[unit] * float(number) for number, unit in parts), timedelta())


class ExportTo(StrEnum):
    """Who sees an object: all namespaces, as without saying."""

    ALL = "*"


@dataclass(frozen=True, slots=True)
class Cidr:
    """A block of addresses of one family."""

    address: str
    length: int

    @classmethod
    def parse(cls, text: str) -> Cidr:
        """Read ``10.1.0.0/16``, ``fd31:1::/64`` or one address; ValueError otherwise."""
        try:
            block = ipaddress.ip_network(text, strict=False)
        except ValueError as error:
            raise ValueError("an address or a block such as 10.1.0.0/16") from error
        return cls(str(block.network_address), block.prefixlen)


class Regex(str):
    """A pattern for Envoy, which would refuse all of a resource for one that is wrong."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Regex:
        """Take what RE2 takes, as far as Python can tell; ValueError otherwise."""
        bare = text.replace("\\\\", "").replace("\\(", "")
        if _NOT_RE2.search(bare) or not (text == "*" or _NOT_PYTHON.search(text) or _fits(text)):
            raise ValueError("a regular expression of RE2's syntax")
        return cls(text)


def _fits(pattern: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(pattern)
        except re.error:
            return False
    return True
