# SPDX-License-Identifier: Apache-2.0
"""Values that Istio's API writes as text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta

_UNITS = {
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
    "us": timedelta(microseconds=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|us|m|s)")


def parse_duration(text: str) -> timedelta:
    """Return ``1.5s``, ``2h30m``, ``250ms`` (Go's notation) as a time; ValueError otherwise."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration such as 1.5s or 2h30m")
    return sum((_UNITS[unit] * float(number) for number, unit in parts), timedelta())


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
