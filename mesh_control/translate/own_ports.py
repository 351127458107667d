# SPDX-License-Identifier: Apache-2.0
"""The ports on which a proxy's own workload serves, as its services name them."""

from __future__ import annotations

from dataclasses import dataclass

from mesh_control.model import Endpoint, Protocol, Proxy, Service
from mesh_control.translate.mesh import Mesh


@dataclass(frozen=True, slots=True)
class OwnPort:
    """A port of the workload, and the service port that leads to it."""

    port: int
    protocol: Protocol
    service: Service
    service_port: int


def own_ports(mesh: Mesh, proxy: Proxy) -> list[OwnPort]:
    """Return the workload's ports in order; of several services on one, the first host's."""
    result: dict[int, OwnPort] = {}
    for service in mesh.services.values():
        ports = {port.name: port for port in service.ports}
        for endpoint in service.endpoints:
            port = ports.get(endpoint.service_port)
            if port is not None and _is_own(endpoint, proxy):
                own = OwnPort(endpoint.port, port.protocol, service, port.number)
                result.setdefault(endpoint.port, own)
    return [result[port] for port in sorted(result)]


def _is_own(endpoint: Endpoint, proxy: Proxy) -> bool:
    # Two networks may use the same addresses.
    near = not endpoint.network or not proxy.network or endpoint.network == proxy.network
    return endpoint.address in proxy.addresses and endpoint.namespace == proxy.namespace and near
