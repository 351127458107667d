# SPDX-License-Identifier: Apache-2.0
"""Host names: short ones made whole, wildcards, the ways to write one in a Host header."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from mesh_control.model import Proxy, Service


def cluster_domain(proxy: Proxy) -> str:
    """Return ``cluster.local`` of a proxy in ``shop.svc.cluster.local``."""
    return proxy.domain.partition(".svc.")[2] or "cluster.local"


def whole(host: str, namespace: str, domain: str) -> str:
    """Return ``api`` as ``api.NAMESPACE.svc.DOMAIN``; a name with a dot stands for itself."""
    if "." in host or host.startswith("*") or is_address(host):
        return host.lower()
    return f"{host}.{namespace}.svc.{domain}".lower()


def covers(pattern: str, host: str) -> bool:
    """Whether ``pattern`` (a host, ``*.suffix`` or ``*``) stands for ``host``."""
    return pattern == host or (pattern.startswith("*") and host.endswith(pattern[1:]))


def most_specific(patterns: Iterable[str], host: str) -> str | None:
    """Return the longest pattern that covers ``host``."""
    found = [pattern for pattern in patterns if covers(pattern, host)]
    return max(found, key=lambda p: (p == host, len(p), p)) if found else None


def is_address(text: str) -> bool:
    """Whether ``text`` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def usable(proxy: Proxy, addresses: Iterable[str]) -> list[str]:
    """Return the addresses of a family that the proxy has; what is no address is left out."""
    return [
        address
        for address in addresses
        if is_address(address) and (proxy.ipv6 if ":" in address else proxy.ipv4)
    ]


def header_domains(service: Service, proxy: Proxy) -> Iterator[str]:
    """Yield the hosts under which a client near ``proxy`` may name ``service``, without port."""
    host = service.host.lower()
    yield host
    yield f"{host}."
    suffix = f".svc.{cluster_domain(proxy)}"
    if host.endswith(suffix) and host.count(".") == suffix.count(".") + 1:
        short = host.removesuffix(suffix)
        yield short
        yield f"{short}.svc"
        name, _unused, namespace = short.partition(".")
        if namespace == proxy.namespace:
            yield name
    for address in usable(proxy, service.addresses):
        yield f"[{address}]" if ":" in address else address
