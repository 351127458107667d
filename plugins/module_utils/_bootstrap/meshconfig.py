# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Istio's mesh configuration, as the ConfigMap ``istio`` holds it. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    as_json,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision

_DEFAULT_TRUST_DOMAIN = "cluster.local"
# The annotation that overlays the mesh's ProxyConfig for one workload.
_OVERLAY = "proxy.istio.io/config"


@dataclass(frozen=True)
class MeshConfig:
    """What is not set in it is empty here."""

    content: dict[str, t.Any] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, t.Any]:
        """ProxyConfig that every workload starts from."""
        return self.content.get("defaultConfig") or {}

    @property
    def trust_domain(self) -> str:
        """As it is written."""
        return str(self.content.get("trustDomain") or "")

    @property
    def effective_trust_domain(self) -> str:
        """As istiod takes it."""
        return self.trust_domain or _DEFAULT_TRUST_DOMAIN

    @property
    def mesh_id(self) -> str:
        """As it is written; istiod and its proxies take the trust domain where there is none."""
        return str(self.defaults.get("meshId") or "")

    @property
    def discovery_address(self) -> str:
        """Where proxies are told to find istiod."""
        return str(self.defaults.get("discoveryAddress") or "")


def read_mesh_config(text: str, what: str) -> MeshConfig:
    """The mesh configuration in ``text`` (YAML). Raises BootstrapError naming ``what``."""
    return MeshConfig(_mapping(text, what))


def proxy_config(
    mesh: MeshConfig, annotations: t.Sequence[t.Mapping[str, str]], revision: Revision
) -> dict[str, t.Any]:
    """ProxyConfig of a workload: the mesh's, overlaid by each ``proxy.istio.io/config``.

    A field of an overlay replaces the whole field; only ``proxyMetadata`` is merged.
    Raises BootstrapError.
    """
    found = dict(mesh.defaults)
    if revision.named and not found.get("discoveryAddress"):
        found["discoveryAddress"] = revision.address
    metadata = dict(found.get("proxyMetadata") or {})
    for carried in annotations:
        if _OVERLAY in carried:
            found.update(_mapping(carried[_OVERLAY], f"annotation {_OVERLAY}"))
            metadata.update(found.get("proxyMetadata") or {})
    return {**found, "proxyMetadata": metadata}


def cluster_id(values: str, what: str) -> str:
    """The cluster's ID in the injector's values (JSON), empty when they have none."""
    found: t.Any = as_json(values, what)
    for key in ("global", "multiCluster", "clusterName"):
        found = found.get(key) if isinstance(found, dict) else None
    return str(found or "")


def _mapping(text: str, what: str) -> dict[str, t.Any]:
    try:
        found = yaml_load(text) if text.strip() else {}
    except Exception as error:  # PyYAML's errors are not there where PyYAML is not
        raise BootstrapError(f"{what}: expected YAML: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise BootstrapError(f"{what}: expected a mapping, found {type(found).__name__}")
    return found or {}
