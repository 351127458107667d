# SPDX-License-Identifier: Apache-2.0
"""The scalar types of the API: names, addresses, ports, durations; as Istio validates them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from mesh_control.objects.types import Anything, Flag, Number, Text

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_LABEL_RE = re.compile(_LABEL)
_SUBDOMAIN_RE = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HOST_LABEL = r"[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?"
_FQDN_RE = re.compile(rf"{_HOST_LABEL}(\.{_HOST_LABEL})*\.?")
_QUALIFIED_RE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_HEADER_RE = re.compile(r":?[-!#$%&'*+.^_`|~A-Za-z0-9]+")
_DURATION_RE = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)")
_LONGEST_SECONDS = 2**63 // 10**9  # Go and Envoy count nanoseconds in 64 bits
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def is_dns_label(text: str) -> bool:
    """RFC 1123 label: names of namespaces, ports, subsets."""
    return bool(_LABEL_RE.fullmatch(text))


def is_dns_name(text: str) -> bool:
    """RFC 1123 subdomain: names of objects."""
    return len(text) <= 253 and bool(_SUBDOMAIN_RE.fullmatch(text))


def is_fqdn(text: str) -> bool:
    """A host name, qualified or short, without a wildcard."""
    return len(text) <= 255 and bool(_FQDN_RE.fullmatch(text))


def is_host(text: str) -> bool:
    """A host name, ``*`` or ``*.rest``."""
    return text == "*" or is_fqdn(text.removeprefix("*."))


def is_ip(text: str) -> bool:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_ip_or_cidr(text: str) -> bool:
    """An address or a prefix; host bits may be set, as Istio allows."""
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def is_label_key(text: str) -> bool:
    """``[prefix/]name`` as Kubernetes has it."""
    prefix, slash, name = text.rpartition("/")
    return bool(_QUALIFIED_RE.fullmatch(name)) and (is_dns_name(prefix) if slash else True)


def is_label_value(text: str) -> bool:
    """Empty, or up to 63 letters, digits, ``-``, ``_``, ``.``."""
    return not text or bool(_QUALIFIED_RE.fullmatch(text))


def seconds(duration: str) -> float:
    """Read a duration as Go does (``1h30m``, ``1.5s``, ``250ms``); ValueError when it is none."""
    parts = _DURATION_RE.findall(duration)
    if not parts or "".join(parts) != duration:
        raise ValueError(f"expected a duration such as 1.5s, 250ms or 1m30s, found {duration!r}")
    total = 0.0
    for part in parts:
        digits = part.rstrip("nuµmsh")
        total += float(digits) * _UNITS[part[len(digits) :]]
    return total


def _is_duration(minimum: float) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            return minimum <= seconds(text) <= _LONGEST_SECONDS
        except ValueError:
            return text == "0" and minimum <= 0

    return test


STRING = Text()
NON_EMPTY = Text("a non-empty string", bool)
BOOL = Flag()
ANY = Anything()

PORT = Number(1, 65535, label="a port (1 to 65535)")
COUNT = Number(0, 4294967295)
INT32 = Number(-2147483648, 2147483647)
PERCENT_INT = Number(0, 100, label="a percentage (0 to 100)")
PERCENT = Number(0, 100, integer=False, label="a percentage (0 to 100)")
HTTP_STATUS = Number(200, 599, label="an HTTP status (200 to 599)")

DURATION = Text("a duration of at least 1ms, such as 1.5s, 250ms or 1m30s", _is_duration(0.001))
DURATION_OR_ZERO = Text("a duration such as 1.5s, 250ms or 0s", _is_duration(0.0))

DNS_LABEL = Text(
    "a DNS label (lower-case letters, digits and '-', at most 63 characters)", is_dns_label
)
DNS_NAME = Text("a DNS name (lower-case letters, digits, '-' and '.')", is_dns_name)
FQDN = Text("a host name", is_fqdn)
HOST = Text("a host name, '*' or '*.DOMAIN'", is_host)
IP = Text("an IP address", is_ip)
IP_OR_CIDR = Text("an IP address or CIDR", is_ip_or_cidr)
LABEL_KEY = Text("a label key ([PREFIX/]NAME)", is_label_key)
LABEL_VALUE = Text("a label value (at most 63 letters, digits, '-', '_', '.')", is_label_value)
HEADER = Text("a header name", lambda text: bool(_HEADER_RE.fullmatch(text)))
