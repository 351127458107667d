# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Everything that a cluster says about its mesh, as far as this user may see it."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import (
    addresses,
    certificates,
    meshconfig,
    networks,
    registry,
    tokens,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    NETWORK_LABEL,
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.issue import Issuer
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.parallel import gather
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.permissions import (
    Applied,
    needed,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    NETWORKING,
    BootstrapError,
    Object,
    path_of,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import XDS_PORT
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

Value = t.TypeVar("Value")


class Survey:
    """Reads part by part. What cannot be read is left out, and said in ``unread``."""

    def __init__(self, plane: ControlPlane, root_config_map: str) -> None:
        self._plane = plane
        self._reader = plane.reader
        self._root_config_map = root_config_map
        self.unread: list[str] = []

    def control_planes(self) -> list[Object]:
        """Each istiod of the namespace, by its Deployment or else its Service."""
        home = self._plane.revision.namespace
        deployments = self._labelled("/apis/apps/v1", home, "deployments", "app=istiod")
        services = self._labelled("/api/v1", home, "services", "app=istiod")
        by_revision = {_revision(item): item for item in deployments}
        found = []
        for service in services:
            deployment = by_revision.pop(_revision(service), None)
            found.append(self._control_plane(service, deployment))
        found += [self._control_plane(None, item) for item in by_revision.values()]
        return sorted(found, key=lambda entry: str(entry["revision"]))

    def mesh(self) -> Object:
        """The mesh's configuration and what follows from it."""
        plane = self._plane
        read = self._attempt(plane.mesh_config, None)
        config = read or meshconfig.MeshConfig()
        return {
            "trust_domain": config.effective_trust_domain,
            "mesh_id": config.mesh_id or config.effective_trust_domain,
            "discovery_address": config.discovery_address or plane.revision.address,
            "server_name": plane.server_name(config),
            "cluster_id": self._attempt(plane.own_cluster_id, ""),
            "network": self._attempt(plane.network, None),
            "config": read.content if read else None,
        }

    def networks(self) -> list[Object]:
        """Networks and gateways; of a user who may not see all Services, those of istiod's home."""
        services = self._attempt(self._services_of_gateways, None)
        if services is None:
            home = self._plane.revision.namespace
            services = self._labelled("/api/v1", home, "services", NETWORK_LABEL)
        stated: Object = self._attempt(self._plane.mesh_networks, {})
        return networks.networks(services, stated, self._nodes)

    def workload_namespaces(self) -> list[str]:
        """Namespaces that hold a WorkloadGroup or a WorkloadEntry."""
        found: list[Object] = []
        for resource, kind in (
            ("workloadgroups", "WorkloadGroups"),
            ("workloadentries", "WorkloadEntries"),
        ):
            found += self._listed(path_of(NETWORKING, None, resource), kind)
        return sorted({item["metadata"]["namespace"] for item in found})

    def namespaces(self, names: t.Iterable[str]) -> list[Object]:
        """Root certificate, groups and entries of each namespace."""
        found, _none = gather(names, self._namespace)
        return list(found.values())

    def identities(
        self, wanted: t.Iterable[tuple[str, str]], audience: str, seconds: int
    ) -> list[Object]:
        """Whether service accounts exist, and tokens of them would be accepted by istiod."""
        subjects = list(dict.fromkeys(wanted))
        if not subjects:
            return []
        deployment = self._attempt(self._plane.deployment, None)
        accepted = tokens.istiods_audiences(deployment)
        issuer = Issuer(self._reader, audience, seconds, accepted)
        found, problems = gather(subjects, lambda key: bool(issuer.issue(*key)))
        return [
            {
                "namespace": namespace,
                "service_account": account,
                "accepted": None
                if issuer.unchecked and (namespace, account) in found
                else (namespace, account) in found,
                "problem": problems.get((namespace, account), issuer.unchecked),
            }
            for namespace, account in subjects
        ]

    def missing_permissions(
        self, namespaces: t.Sequence[str], set_name: str, objects: t.Iterable[Object]
    ) -> list[Object]:
        """What the collection needs and this user may not do.

        ``objects`` will be applied as the set of that name.
        """
        kinds = {
            (body["apiVersion"], body["kind"], body["metadata"].get("namespace") or "")
            for body in objects
        }
        applied = [
            self._attempt(functools.partial(self._applied, *kind), None) for kind in sorted(kinds)
        ]
        wanted = needed(
            self._plane.revision,
            namespaces,
            self._root_config_map,
            set_name,
            filter(None, applied),
        )
        allowed, _none = gather(
            wanted,
            lambda one: self._reader.api.can_i(
                one.verb,
                one.resource,
                group=one.group,
                namespace=one.namespace,
                subresource=one.subresource,
                name=one.name,
            ),
        )
        return [{"text": one.text, **vars(one)} for one in wanted if not allowed[one]]

    def _applied(self, version: str, kind: str, namespace: str) -> Applied:
        api = self._reader.api
        try:
            path = api.path_of(version, kind)
            place = namespace if api.namespaced(version, kind) else ""
        except ClusterError as error:
            if error.status is None:
                raise
            raise BootstrapError(str(error)) from error
        group = version.rpartition("/")[0]
        return Applied(group, path.rpartition("/")[2], place)

    def _control_plane(self, service: Object | None, deployment: Object | None) -> Object:
        item = deployment or service or {}
        labels = item["metadata"].get("labels") or {}
        images = [c.get("image", "") for c in _containers(deployment)]
        return {
            "revision": _revision(item),
            "version": str(labels.get("app.kubernetes.io/version") or _tag(images)),
            "service": service["metadata"]["name"] if service else "",
            "addresses": addresses.outer_addresses(service, XDS_PORT, self._nodes)
            if service
            else [],
            "replicas": (deployment or {}).get("status", {}).get("readyReplicas", 0)
            if deployment
            else None,
            "audiences": tokens.istiods_audiences(deployment) if deployment else [],
        }

    def _namespace(self, name: str) -> Object:
        entries = self._objects(name, "workloadentries", "WorkloadEntries")
        found = self._objects(name, "workloadgroups", "WorkloadGroups")
        return {
            "name": name,
            "root_certificate": self._attempt(lambda: self._root(name), None),
            "workload_groups": registry.groups(found, entries),
            "workload_entries": registry.count(entries),
        }

    def _objects(self, namespace: str, resource: str, kind: str) -> list[Object]:
        path = path_of(NETWORKING, namespace, resource)
        return self._listed(path, f"{kind} of namespace {namespace}")

    def _root(self, namespace: str) -> Object:
        name = self._root_config_map
        pem = self._plane.root_certificate(namespace, name, 0)
        parsed = certificates.describe(pem, f"ConfigMap {namespace}/{name}")
        return {"pem": pem, "certificates": parsed}

    def _labelled(self, group: str, namespace: str, resource: str, label: str) -> list[Object]:
        path = path_of(group, namespace, resource)
        return self._listed(path, f"{resource} of namespace {namespace}", labelSelector=label)

    def _services_of_gateways(self) -> list[Object] | None:
        query = {"labelSelector": NETWORK_LABEL}
        return self._reader.list("/api/v1/services", "Services of gateways", **query)

    def _nodes(self) -> list[Object]:
        return self._listed("/api/v1/nodes", "Nodes")

    def _listed(self, path: str, what: str, **query: str) -> list[Object]:
        return self._attempt(lambda: self._reader.list(path, what, **query), [])

    def _attempt(self, read: t.Callable[[], Value], otherwise: Value) -> Value:
        try:
            return read()
        except BootstrapError as error:
            if str(error) not in self.unread:
                self.unread.append(str(error))
            return otherwise


def _revision(item: Object) -> str:
    return str((item["metadata"].get("labels") or {}).get("istio.io/rev") or "default")


def _containers(deployment: Object | None) -> list[Object]:
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    return list((template.get("spec") or {}).get("containers") or [])


def _tag(images: t.Sequence[str]) -> str:
    return images[0].rpartition(":")[2] if images and ":" in images[0] else ""
