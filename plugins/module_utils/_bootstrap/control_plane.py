# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What the cluster's own objects say about a control plane: names, configuration, addresses."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import addresses, meshconfig
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotAllowedError,
    NotFoundError,
    Object,
    Reader,
    path_of,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import (
    XDS_PORT,
    Revision,
)

ROOT_KEY = "root-cert.pem"
NETWORK_LABEL = "topology.istio.io/network"
_POLL_SECONDS = 1.0


class ControlPlane:
    """One istiod's objects. Every method raises BootstrapError, or a subclass of it."""

    def __init__(self, reader: Reader, revision: Revision) -> None:
        self.reader = reader
        self.revision = revision

    def mesh_config(self) -> meshconfig.MeshConfig:
        """The mesh configuration, from the ConfigMap ``istio``."""
        name, namespace = self.revision.of("istio"), self.revision.namespace
        data = self.reader.config_map(namespace, name)
        return meshconfig.read_mesh_config(
            data.get("mesh", ""), f"ConfigMap {namespace}/{name}, key mesh"
        )

    def mesh_networks(self) -> Object:
        """MeshNetworks, from the same ConfigMap; empty where it has none."""
        name, namespace = self.revision.of("istio"), self.revision.namespace
        text = self.reader.config_map(namespace, name).get("meshNetworks", "")
        what = f"ConfigMap {namespace}/{name}, key meshNetworks"
        return meshconfig.read_mesh_config(text, what).content

    def own_cluster_id(self) -> str:
        """The cluster's ID, from the values of the sidecar injector; empty when they have none."""
        name, namespace = self.revision.of("istio-sidecar-injector"), self.revision.namespace
        data = self.reader.config_map(namespace, name)
        what = f"ConfigMap {namespace}/{name}, key values"
        return meshconfig.cluster_id(data.get("values") or "{}", what)

    def remote_cluster_ids(self) -> list[str]:
        """IDs of the other clusters that istiod knows, from the Secrets that tell it of them."""
        namespace = self.revision.namespace
        found = self.reader.list(
            path_of("/api/v1", namespace, "secrets"),
            "Secrets of remote clusters",
            labelSelector="istio/multiCluster=true",
        )
        return sorted({key for secret in found for key in secret.get("data") or {}})

    def deployment(self) -> Object | None:
        """Istiod's Deployment; None where it runs as something else."""
        namespace, name = self.revision.namespace, self.revision.service
        path = path_of("/apis/apps/v1", namespace, "deployments", name)
        try:
            return self.reader.get(path, f"Deployment {namespace}/{name}")
        except NotFoundError:
            return None

    def network(self) -> str:
        """The network that the cluster says it is on; empty when it does not."""
        namespace = self.revision.namespace
        path = path_of("/api/v1", None, "namespaces", namespace)
        found = self.reader.get(path, f"Namespace {namespace}")
        return str((found["metadata"].get("labels") or {}).get(NETWORK_LABEL) or "")

    def root_certificate(
        self, namespace: str, name: str, seconds: float, clock: t.Any = time
    ) -> str:
        """The root that istiod writes into every namespace, PEM.

        A namespace that is new has it after a moment, so it is waited for, ``seconds`` at most.
        """
        end = clock.monotonic() + seconds
        while True:
            try:
                found = self.reader.config_map(namespace, name)
            except NotFoundError as error:
                if clock.monotonic() >= end:
                    raise NotFoundError(
                        f"{error}, after {seconds:g} s: expected istiod to write the mesh's root "
                        "certificate there; does the namespace exist, and does istiod run?"
                    ) from error
            else:
                if not found.get(ROOT_KEY):
                    raise BootstrapError(
                        f"ConfigMap {namespace}/{name}: expected a key {ROOT_KEY}, "
                        f"found {', '.join(sorted(found)) or 'none'}"
                    )
                return found[ROOT_KEY]
            clock.sleep(_POLL_SECONDS)

    def server_name(self, mesh: meshconfig.MeshConfig) -> str:
        """The name that istiod's certificate must have for hosts."""
        host = addresses.host_of(mesh.discovery_address)
        if host and not addresses.inside_cluster(host):
            return host
        return self.revision.server_name

    def outer_addresses(self, mesh: meshconfig.MeshConfig, gateway: str) -> list[str]:
        """``HOST:PORT`` at which hosts reach istiod.

        The mesh's own discovery address if it means something outside the cluster, else istiod's
        Service, else the gateway's (``NAME`` or ``NAME.NAMESPACE``).
        """
        host = addresses.host_of(mesh.discovery_address)
        if host and not addresses.inside_cluster(host):
            return [mesh.discovery_address]
        name, separator, namespace = gateway.partition(".")
        home = self.revision.namespace
        reasons = []
        for place, service in (
            (home, self.revision.service),
            (namespace if separator else home, name),
        ):
            try:
                found = self.reader.service(place, service)
                reached = addresses.outer_addresses(found, XDS_PORT, self._nodes)
            except (NotFoundError, NotAllowedError) as error:
                reasons.append(str(error))
                continue
            if reached:
                return reached
            reasons.append(addresses.what_is_missing(found, XDS_PORT, f"{place}/{service}"))
        raise NotFoundError(
            f"no address at which hosts reach istiod was found: {'; '.join(reasons)}. "
            "Give the addresses yourself, or one of these Services an address for hosts outside"
        )

    def _nodes(self) -> list[Object]:
        return self.reader.list("/api/v1/nodes", "Nodes")
