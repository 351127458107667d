# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The networks that a cluster knows, and the gateways to them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import addresses
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    NETWORK_LABEL,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._endpoint import join

Object = t.Dict[str, t.Any]

_PASSTHROUGH_PORT = 15443


def networks(
    services: t.Iterable[Object],
    mesh_networks: Object,
    nodes: t.Callable[[], t.Sequence[Object]],
) -> list[Object]:
    """``name`` and ``gateways`` of each network, sorted; a gateway has an address and a source.

    ``services`` are those that carry a network's label, ``mesh_networks`` is MeshNetworks, which
    counts beside them.
    """
    found: dict[str, list[Object]] = {}
    for service in services:
        metadata = service["metadata"]
        gateways = found.setdefault(metadata["labels"][NETWORK_LABEL], [])
        source = f"Service {metadata['namespace']}/{metadata['name']}"
        port = int(metadata["labels"].get("networking.istio.io/gatewayPort") or _PASSTHROUGH_PORT)
        gateways += _from(addresses.outer_addresses(service, port, nodes), source)
    for name, network in (mesh_networks.get("networks") or {}).items():
        gateways = found.setdefault(name, [])
        given = (network or {}).get("gateways") or []
        stated = [
            join(str(gateway["address"]), int(gateway.get("port") or _PASSTHROUGH_PORT))
            for gateway in given
            if gateway.get("address")
        ]
        gateways += _from(stated, "meshNetworks")
    return [{"name": name, "gateways": found[name]} for name in sorted(found)]


def _from(found: t.Iterable[str], source: str) -> list[Object]:
    return [{"address": address, "source": source} for address in found]
