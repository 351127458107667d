# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Which proxy leads to an API server, if any: chosen as Go's HTTP client does, hence kubectl."""

from __future__ import annotations

import ipaddress
import os
import urllib.parse

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.access import Access


def chosen(access: Access, no_proxy: str | None) -> str:
    """The proxy to go through, empty for none: the one that is named, or the environment's."""
    named = [name for name in os.environ if name.lower().endswith("_proxy")]
    if not access.proxy and not named:
        return ""
    import urllib.request

    said = urllib.request.getproxies()
    parts = urllib.parse.urlsplit(access.server)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    excepted = (no_proxy or said.get("no", "")).split(",")
    if any(_means(entry.strip().lower(), host, port) for entry in excepted):
        return ""
    found = access.proxy
    if not found and not _is_here(host):
        found = said.get(parts.scheme) or said.get("all") or ""
    return found if "://" in found or not found else f"http://{found}"


def credentials(proxy: str, given: str | None) -> str | None:
    """``USER:PASSWORD`` for the proxy: what is given, or else what its URL says."""
    url = urllib.parse.urlsplit(proxy)
    if given or not url.username:
        return given
    return urllib.parse.unquote(f"{url.username}:{url.password or ''}")


def _means(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY, in lower case, means the server.

    ``*``, an address, a network as ``10.0.0.0/8``, or a domain with all below it; an address or a
    domain may have a port.
    """
    if entry == "*":
        return True
    if "/" in entry:
        return _is_within(host, entry)
    bare, colon, said = entry.rpartition(":")
    if not colon or _address(entry):
        bare, said = entry, ""
    if said and said != str(port):
        return False
    bare = bare.strip("[]")
    # An address has more than one way to be written.
    address = _address(bare)
    if address:
        return address == _address(host)
    bare = bare.lstrip("*").lstrip(".")
    return bool(bare) and (host == bare or host.endswith(f".{bare}"))


def _is_within(host: str, network: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
