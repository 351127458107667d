# SPDX-License-Identifier: Apache-2.0
"""ConfigMap istio: the mesh's settings and the gateways of its networks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh_control.model import Document, NetworkGateway
from mesh_control.objects.problems import Problem

DEFAULT_ROOT_NAMESPACE = "istio-system"


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What the ConfigMap says; empty without one."""

    config: Mapping[str, object] = field(default_factory=dict)
    gateways: tuple[NetworkGateway, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def root_namespace(self) -> str:
        """The namespace whose policies hold for the whole mesh."""
        return str(self.config.get("rootNamespace", DEFAULT_ROOT_NAMESPACE))


def mesh_settings(documents: Iterable[Document], trust_domain: str) -> MeshSettings:
    """Read the ConfigMap among ``documents``; it is istio-system/istio, or there is none."""
    for document in documents:
        if document.kind == "ConfigMap":
            spec: Any = document.spec
            mesh = spec.get("mesh", {})
            networks = spec.get("meshNetworks", {}).get("networks", {})
            gateways = tuple(
                NetworkGateway(network, gateway["address"], gateway["port"])
                for network, settings in networks.items()
                for gateway in settings.get("gateways", [])
                if gateway.get("address")
            )
            return MeshSettings(mesh, gateways, tuple(_problems(document, mesh, trust_domain)))
    return MeshSettings()


def _problems(document: Document, mesh: Mapping[str, Any], trust_domain: str) -> list[Problem]:
    named = mesh.get("trustDomain", trust_domain)
    if named == trust_domain:
        return []
    message = f"expected {trust_domain!r} as in the control plane's configuration, found {named!r}"
    subject = f"ConfigMap {document.namespace}/{document.name}"
    return [Problem(document.where, message, subject, "data.mesh.trustDomain")]
