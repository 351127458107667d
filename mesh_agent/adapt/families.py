# SPDX-License-Identifier: Apache-2.0
"""IPv6 on a host that has it, under a control plane that gives IPv4 only. Pure.

Without dual stack istiod has Envoy listen on IPv4 alone, whatever addresses the host has. Captured
calls over IPv6 would be refused, those of the host's own programs as well as those to its ports.
So the listeners that take what is captured do so in both families: by the same chains, hence under
the same policies. What is called over IPv6 is no service of such a mesh, and goes the way of all
that is unknown: past Envoy or nowhere, as the operator has it.
"""

from __future__ import annotations

from typing import Final

from mesh_agent.adapt.views import ClusterSource, ListenerAddresses
from mesh_agent.redirect.ports import CAPTURE_PORTS, ENVOY_SOURCE_IPV4, ENVOY_SOURCE_IPV6

_ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - compared, not bound
_ANY_IPV6: Final = "::"


def listen(body: bytes) -> bytes:
    """Return a listener that takes captured IPv6 if it takes captured IPv4."""
    listener = ListenerAddresses.FromString(body)
    first = listener.address.socket_address
    if (
        first.address != _ANY_IPV4
        or first.port_value not in CAPTURE_PORTS
        or any(":" in each.address.socket_address.address for each in listener.additional_addresses)
    ):
        return body
    added = listener.additional_addresses.add().address.socket_address
    added.CopyFrom(first)
    added.address = _ANY_IPV6
    return bytes(listener.SerializeToString())


def call(body: bytes) -> bytes:
    """Return a cluster that calls the application over IPv6 if it calls it over IPv4.

    From an address of its own, by which the redirection knows Envoy's calls.
    """
    cluster = ClusterSource.FromString(body)
    bind = cluster.upstream_bind_config
    if bind.source_address.address != ENVOY_SOURCE_IPV4 or bind.extra_source_addresses:
        return body
    added = bind.extra_source_addresses.add().address
    added.CopyFrom(bind.source_address)
    added.address = ENVOY_SOURCE_IPV6
    return bytes(cluster.SerializeToString())
