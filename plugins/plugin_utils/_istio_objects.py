# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Objects that follow from the inventory in a cluster that has an istiod of its own.

What Istio's installation owns (its ConfigMap, its Services, its gateways) is left alone: istiod
learns of our gateways by Services of ours, and only our gateways follow our Gateway objects.
"""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.plugin_utils._objects import (
    Object,
    make,
    reached_at,
    tls_gateway,
)
from ansible_collections.hybrid.mesh.plugins.plugin_utils._topology import (
    GATEWAY_LABEL,
    PASSTHROUGH_PORT,
    XDS_PORT,
    Member,
)

NETWORK_LABEL = "topology.istio.io/network"
_SELECTOR = {GATEWAY_LABEL: "east-west"}


def service_accounts(members: t.Iterable[Member]) -> list[Object]:
    """The ServiceAccount of each identity among the members, sorted."""
    identities = {(host.namespace, host.service_account) for host in members}
    return [
        make("v1", "ServiceAccount", account, namespace)
        for namespace, account in sorted(identities)
    ]


def gateway_objects(
    gateways: t.Iterable[Member], hosts: t.Iterable[Member], namespace: str, istiod: str
) -> list[Object]:
    """What makes gateways work with an istiod; nothing without gateways.

    Their identities, how each network is reached, the passthrough of calls between networks, and
    istiod itself (``istiod``: its Service in ``namespace``) for hosts that are not on its network.
    """
    gateways = list(gateways)
    if not gateways:
        return []
    objects = service_accounts(gateways)
    # Each leads into its own network alone: an istiod has every other one reached through a
    # gateway, and one that stood for two networks would call itself without end.
    addresses: dict[str, list[str]] = {}
    for gateway in gateways:
        addresses.setdefault(gateway.network, []).append(reached_at(gateway, gateway.network))
    objects += [_network(name, found, namespace) for name, found in sorted(addresses.items())]
    key = ("hybrid-mesh-networks", namespace)
    objects.append(tls_gateway(key, _SELECTOR, PASSTHROUGH_PORT, "AUTO_PASSTHROUGH", "*.local"))
    away = any(host.outside_network not in (None, host.network) for host in hosts)
    return objects + (_exposure(namespace, istiod) if away else [])


def _network(name: str, addresses: list[str], namespace: str) -> Object:
    """A Service that tells istiod at which addresses a network is reached.

    Headless, so that no node of the cluster takes the addresses for its own.
    """
    service = make("v1", "Service", f"hybrid-mesh-{name}".lower(), namespace)
    service["metadata"]["labels"] = {NETWORK_LABEL: name}
    service["spec"] = {
        "clusterIP": "None",
        "externalIPs": addresses,
        "ports": [{"name": "tls", "port": PASSTHROUGH_PORT, "protocol": "TCP"}],
    }
    return service


def _exposure(namespace: str, istiod: str) -> list[Object]:
    """istiod's port through the gateways, TLS untouched, as Istio's expose-istiod does it."""
    name = "hybrid-mesh-istiod"
    server_name = f"{istiod}.{namespace}.svc"
    destination = {"host": f"{server_name}.cluster.local", "port": {"number": XDS_PORT}}
    match = {"port": XDS_PORT, "sniHosts": [server_name]}
    spec = {
        "hosts": [server_name],
        "gateways": [name],
        "tls": [{"match": [match], "route": [{"destination": destination}]}],
    }
    return [
        tls_gateway((name, namespace), _SELECTOR, XDS_PORT, "PASSTHROUGH", server_name),
        make("networking.istio.io/v1", "VirtualService", name, namespace, spec),
    ]
