# SPDX-License-Identifier: Apache-2.0
"""Which TLS a workload expects of its peers: PeerAuthentication, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mesh_control.model import Labels, MutualTls
from mesh_control.translate.api.security import PeerAuthentication, PeerMode
from mesh_control.translate.mesh import Mesh, selects


@dataclass(frozen=True, slots=True)
class PeerModes:
    """The mode of a workload, and of its ports that differ."""

    default: MutualTls
    ports: Mapping[int, MutualTls]

    def of(self, port: int) -> MutualTls:
        """Return the mode of a port of the workload."""
        return self.ports.get(port, self.default)


def peer_modes(mesh: Mesh, namespace: str, labels: Labels) -> PeerModes:
    """Return the modes of a workload: its own policy, the namespace's, the mesh's, PERMISSIVE.

    In each scope the oldest policy counts. A selector in the root namespace has no meaning.
    """
    scopes: dict[str, PeerAuthentication] = {}
    for named in mesh.peer_authentications:
        selector = named.spec.selector.match_labels
        if not selector and named.namespace == mesh.root_namespace:
            scopes.setdefault("mesh", named.spec)
        elif named.namespace != namespace or named.namespace == mesh.root_namespace:
            continue
        elif not selector:
            scopes.setdefault("namespace", named.spec)
        elif selects(selector, labels):
            scopes.setdefault("workload", named.spec)
    default = MutualTls.PERMISSIVE
    for scope in ("mesh", "namespace", "workload"):
        if scope in scopes:
            default = _or(scopes[scope].mtls.mode, default)
    workload = scopes.get("workload", PeerAuthentication())
    ports = {port: _or(mtls.mode, default) for port, mtls in workload.port_level_mtls.items()}
    return PeerModes(default, ports)


def _or(mode: PeerMode, inherited: MutualTls) -> MutualTls:
    return inherited if mode is PeerMode.UNSET else MutualTls(mode.value)
