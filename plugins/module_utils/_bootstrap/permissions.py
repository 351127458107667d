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
_AUTHENTICATION = "authentication.k8s.io"
# To apply an object takes these, and to take it away again.
_APPLY = ("get", "create", "patch", "delete")


@dataclass(frozen=True)
class Permission:
    """A verb on a resource; ``namespace`` is empty for the whole cluster.

    ``name`` is that of a single object, empty for all. ``purpose`` is what does not work without.
    ``optional`` says that hosts join all the same.
    """

    verb: str
    resource: str
    namespace: str
    purpose: str
    group: str = ""
    subresource: str = ""
    name: str = ""
    optional: bool = False

    @property
    def text(self) -> str:
        """``patch workloadentries.networking.istio.io in namespace shop``."""
        resource = "/".join(filter(None, (self.resource, self.subresource)))
        group = f".{self.group}" if self.group else ""
        name = f" {self.name}" if self.name else ""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {resource}{group}{name} {where}"


@dataclass(frozen=True)
class Applied:
    """A kind of object that will be applied; ``namespace`` is empty for one outside of all."""

    group: str
    resource: str
    namespace: str


def needed(
    revision: Revision,
    namespaces: t.Iterable[str],
    root_config_map: str,
    set_name: str = "mesh",
    applied: t.Iterable[Applied] = (),
) -> list[Permission]:
    """Everything that joining hosts of ``namespaces`` takes, each permission once.

    ``applied`` are the kinds of the objects that are applied beside what hosts themselves take. The
    roles in roles/cluster/files grant it.
    """
    found = _control_plane(revision, f"hybrid-mesh-set-{set_name}")
    for namespace in namespaces:
        found += _workloads(namespace, root_config_map)
    for kind in applied:
        found += _verbs(_APPLY, kind.resource, kind.namespace, "apply objects", kind.group)
    by_text = {one.text: one for one in reversed(found)}
    return list(reversed(by_text.values()))


def _control_plane(revision: Revision, record: str) -> list[Permission]:
    home, kept = revision.namespace, "remember what was applied"
    accepted, tried = "see which tokens istiod takes", "try tokens as istiod does"
    asked = "ask istiods who is connected"
    return [
        _config_map(home, revision.of("istio"), "read the mesh's configuration"),
        _config_map(home, revision.of("istio-sidecar-injector"), "read the cluster's ID"),
        Permission("get", "namespaces", home, "read the cluster's network", name=home),
        *_verbs(("get", "list"), "services", home, "find istiods and gateways"),
        *_verbs(("get", "list"), "deployments", home, accepted, "apps", optional=True),
        *_verbs(("list",), "pods", home, "find the istiods", optional=True),
        *(
            Permission(verb, "pods", home, asked, subresource="portforward", optional=True)
            for verb in ("create", "get")
        ),
        *_verbs(("create",), "tokenreviews", "", tried, _AUTHENTICATION, optional=True),
        *_verbs(("create",), "configmaps", home, kept),
        *(
            Permission(verb, "configmaps", home, kept, name=record)
            for verb in ("get", "patch", "delete")
        ),
    ]


def _workloads(namespace: str, root_config_map: str) -> list[Permission]:
    groups, registered = "define workload groups", "register hosts and take them away"
    accounts, selects = "serviceaccounts", "see what selects hosts"
    every = ("get", "list", "create", "patch", "delete")
    return [
        _config_map(namespace, root_config_map, "read the mesh's root certificate"),
        Permission("create", accounts, namespace, "issue tokens", subresource="token"),
        *_verbs(every, accounts, namespace, "give hosts an identity"),
        *_verbs(every, "workloadgroups", namespace, groups, _NETWORKING),
        *_verbs(every, "workloadentries", namespace, registered, _NETWORKING),
        *_verbs(("list",), "services", namespace, selects, optional=True),
        *_verbs(("list",), "serviceentries", namespace, selects, _NETWORKING, optional=True),
    ]


def _verbs(
    verbs: t.Iterable[str],
    resource: str,
    namespace: str,
    purpose: str,
    group: str = "",
    *,
    optional: bool = False,
) -> list[Permission]:
    return [
        Permission(verb, resource, namespace, purpose, group, optional=optional) for verb in verbs
    ]


def _config_map(namespace: str, name: str, purpose: str) -> Permission:
    return Permission("get", "configmaps", namespace, purpose, name=name)
