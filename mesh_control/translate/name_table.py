# SPDX-License-Identifier: Apache-2.0
"""The names that a host's own DNS answers."""

from __future__ import annotations

from typing import Any

from mesh_control.model import Proxy
from mesh_control.translate.hosts import usable
from mesh_control.translate.mesh import Mesh
from mesh_core.wire.messages import NameInfo, NameTable

_KUBERNETES = "Kubernetes"


def name_table(mesh: Mesh, proxy: Proxy) -> Any:
    """Return host -> virtual addresses of the proxy's families; a router gets none.

    Short forms (``api``, ``api.shop``) are the agent's to make: for that, services of the registry
    Kubernetes carry their name and namespace.
    """
    table = NameTable()
    for host, service in mesh.services.items() if proxy.kind == "sidecar" else ():
        addresses = usable(proxy, service.addresses)
        if addresses:
            info = NameInfo(ips=addresses, registry=service.registry)
            if service.registry == _KUBERNETES:
                info.shortname, info.namespace = service.name, service.namespace
            table.table[host].CopyFrom(info)
    return table
