# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What names, labels, addresses and ports must look like: found out before anything is sent."""

from __future__ import annotations

import ipaddress
import re
import typing as t

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
# Istio's own rule for a port's name.
_PORT_NAME = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")

Problems = t.Iterator[str]


def subdomain(value: str) -> bool:
    """Whether it is a name of most Kubernetes objects: DNS labels with dots between, 253 long."""
    return len(value) <= 253 and all(_LABEL.fullmatch(part) for part in value.split("."))


def name(where: str, value: str) -> Problems:
    """What is wrong with an object's name."""
    if not subdomain(value):
        yield (
            f"{where}: expected lower case letters, digits, '-' and '.', at most 253, "
            f"found {value!r}"
        )


def namespace(where: str, value: str | None) -> Problems:
    """What is wrong with a namespace."""
    if not value:
        yield f"{where}: expected a namespace, here or for the whole task, found none"
    elif not _LABEL.fullmatch(value):
        yield f"{where}: expected lower case letters, digits and '-', at most 63, found {value!r}"


def address(where: str, value: str) -> Problems:
    """What is wrong with an endpoint's address: an IP address, a DNS name or a unix socket."""
    if value.startswith("unix://"):
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        # All digits and dots is a mistyped IP address, though it could be read as a name.
        if re.fullmatch(r"[0-9.]+", value) or not subdomain(value.lower().rstrip(".")):
            yield (f"{where}: expected an IP address, a DNS name or unix:///PATH, found {value!r}")


def labels(where: str, found: t.Mapping[str, t.Any]) -> Problems:
    """What is wrong with labels."""
    yield from keys(where, found)
    for key, value in found.items():
        if value != "" and not _QUALIFIED.fullmatch(str(value)):
            yield (
                f"{where}.{key}: expected at most 63 letters, digits, '-', '_' and '.', "
                f"found {value!r}"
            )


def keys(where: str, found: t.Iterable[str]) -> Problems:
    """What is wrong with the keys of labels or annotations."""
    for key in found:
        prefix, slash, last = str(key).rpartition("/")
        if not _QUALIFIED.fullmatch(last) or (slash and not subdomain(prefix)):
            yield f"{where}: expected a key such as app or example.com/app, found {key!r}"


def ports(where: str, found: t.Sequence[t.Mapping[str, t.Any]]) -> Problems:
    """What is wrong with a list of ports, ``name`` and ``port`` each."""
    seen: dict[str, int] = {}
    for index, entry in enumerate(found):
        port_name, number = str(entry["name"]), entry["port"]
        if not _PORT_NAME.fullmatch(port_name):
            yield (
                f"{where}[{index}].name: expected letters, digits and '-', at most 63, "
                f"found {port_name!r}"
            )
        if not 0 < number < 65536:
            yield f"{where}[{index}].port: expected 1 to 65535, found {number}"
        if port_name in seen:
            yield (
                f"{where}[{index}].name: expected each name once, found {port_name!r} twice "
                f"({seen[port_name]} and {number})"
            )
        seen.setdefault(port_name, number)


def locality(where: str, value: str) -> Problems:
    """What is wrong with a locality."""
    parts = value.split("/")
    if len(parts) > 3 or not all(parts):
        yield f"{where}: expected REGION, REGION/ZONE or REGION/ZONE/SUBZONE, found {value!r}"


def weight(where: str, value: int) -> Problems:
    """What is wrong with a weight."""
    if not 0 < value < 2**32:
        yield f"{where}: expected 1 to 4294967295, found {value}"
