# SPDX-License-Identifier: Apache-2.0
"""Virtual addresses of services that bring none. Pure.

An address follows from the service's host, so that it is nearly always the same again even
without the record of earlier allocations; with the record it never moves.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def allocate(
    network: Network, hosts: Iterable[str], known: Mapping[str, str], reserved: Iterable[str] = ()
) -> dict[str, str]:
    """Return an address of ``network`` for each of ``hosts``; a host is left out when it is full.

    ``known`` are the allocations so far: kept for the hosts that are still there and whose address
    is in ``network`` and not ``reserved`` (given to a service by hand), freed otherwise.
    """
    wanted = sorted(set(hosts))
    taken = {ipaddress.ip_address(address) for address in reserved}
    result: dict[str, str] = {}
    for host in wanted:
        address = ipaddress.ip_address(known[host]) if host in known else None
        if address is not None and address in network and address not in taken:
            taken.add(address)
            result[host] = str(address)
    for host in wanted:
        if host not in result:
            address = _free(network, host, taken)
            if address is not None:
                taken.add(address)
                result[host] = str(address)
    return {host: result[host] for host in wanted if host in result}


def _free(
    network: Network, host: str, taken: set[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the first free address from the one that ``host`` hashes to."""
    usable = network.num_addresses - 2  # neither the network's address nor the broadcast address
    if usable < 1:
        return None
    start = int.from_bytes(hashlib.sha256(host.encode()).digest()[:8]) % usable
    for step in range(min(usable, len(taken) + 1)):
        address = network[1 + (start + step) % usable]
        if address not in taken:
            return address
    return None
