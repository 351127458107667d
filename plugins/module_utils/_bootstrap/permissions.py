# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What this collection asks of a cluster: the rules of its minimal roles. Pure."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision

_NETWORKING = "networking.istio.io"


@dataclass(frozen=True)
class Permission:
    """A verb on a resource; ``namespace`` is empty for the whole cluster.

    ``name`` is that of a single object, empty for all. ``purpose`` is what does not work without.
    """

    verb: str
    resource: str
    namespace: str
    purpose: str
    group: str = ""
    subresource: str = ""
    name: str = ""

    @property
    def text(self) -> str:
        """``patch workloadentries.networking.istio.io in namespace shop``."""
        resource = "/".join(filter(None, (self.resource, self.subresource)))
        group = f".{self.group}" if self.group else ""
        name = f" {self.name}" if self.name else ""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {resource}{group}{name} {where}"


def needed(
    revision: Revision, namespaces: t.Iterable[str], root_config_map: str
) -> list[Permission]:
    """Everything that joining hosts of ``namespaces`` takes.

    The roles in roles/cluster/files grant it.
    """
    home = revision.namespace
    found = [
        _config_map(home, revision.of("istio"), "read the mesh's configuration"),
        _config_map(home, revision.of("istio-sidecar-injector"), "read the cluster's ID"),
        Permission("get", "services", home, "find where hosts reach istiod"),
        Permission("create", "configmaps", home, "remember what was applied"),
    ]
    for namespace in namespaces:
        found += [
            _config_map(namespace, root_config_map, "read the mesh's root certificate"),
            Permission("create", "serviceaccounts", namespace, "issue tokens", subresource="token"),
        ]
        found += [
            Permission(verb, "serviceaccounts", namespace, "give hosts an identity")
            for verb in ("get", "create", "patch")
        ]
        found += [
            Permission(verb, resource, namespace, purpose, group=_NETWORKING)
            for resource, purpose in (
                ("workloadgroups", "define workload groups"),
                ("workloadentries", "register hosts and take them away"),
            )
            for verb in ("get", "list", "create", "patch", "delete")
        ]
    return found


def _config_map(namespace: str, name: str, purpose: str) -> Permission:
    return Permission("get", "configmaps", namespace, purpose, name=name)
