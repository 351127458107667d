# SPDX-License-Identifier: Apache-2.0
"""The objects of an Istio mesh as its user has them before a host joins. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lab.spec import Cluster, Host

NAMESPACE = "istio-system"
MESH_ID = "mesh1"
# Of Istio's installation: there is no node for a Deployment, and no way from the API server to a
# webhook's Service.
_LEFT_OUT = (
    "Deployment",
    "HorizontalPodAutoscaler",
    "MutatingWebhookConfiguration",
    "PodDisruptionBudget",
    "ValidatingWebhookConfiguration",
)
_RBAC = "rbac.authorization.k8s.io"

Object = dict[str, Any]


def settings(cluster: Cluster) -> Mapping[str, str]:
    """What Istio is installed with: `istioctl install --set NAME=VALUE`."""
    return {
        "profile": "minimal",
        "values.global.meshID": MESH_ID,
        "values.global.network": cluster.network,
        "values.global.multiCluster.clusterName": cluster.id,
    }


def installed(documents: Iterable[Object]) -> list[Object]:
    """What of Istio's own installation is applied.

    istiod's Service loses its selector: istiod is no pod here, and a slice says where it is.
    """
    found = [d for d in documents if d["kind"] not in _LEFT_OUT]
    for document in found:
        if document["kind"] == "Service":
            document["spec"].pop("selector", None)
    return found


def namespaces(cluster: Cluster) -> list[Object]:
    """Istio's namespace, which says the network of its cluster, and those of the workloads."""
    root = _object("v1", "Namespace", NAMESPACE)
    root["metadata"]["labels"] = {"topology.istio.io/network": cluster.network}
    return [root, *(_object("v1", "Namespace", name) for name in cluster.namespaces)]


def istiod_slice(host: Host, service: Object) -> Object:
    """Where istiod's Service leads: to the cluster's host."""
    ports = [
        {"name": p["name"], "port": p.get("targetPort", p["port"]), "protocol": "TCP"}
        for p in service["spec"]["ports"]
    ]
    found = _object("discovery.k8s.io/v1", "EndpointSlice", "istiod", NAMESPACE)
    found["metadata"]["labels"] = {"kubernetes.io/service-name": service["metadata"]["name"]}
    address = next(str(a) for a in host.addresses if a.version == 4)
    return found | {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }


def bindings(cluster: Cluster, user: str, control_plane: str, workloads: str) -> list[Object]:
    """Lets the user do what two ClusterRoles name, each in its namespaces and nowhere else.

    The third, `hybrid-mesh-cluster`, is for the whole cluster.
    """
    places = {NAMESPACE: control_plane} | dict.fromkeys(cluster.namespaces, workloads)
    found = [_binding(namespace, role, user) for namespace, role in places.items()]
    return [*found, _binding(None, "hybrid-mesh-cluster", user)]


def _binding(namespace: str | None, role: str, user: str) -> Object:
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return _object(f"{_RBAC}/v1", kind, role, namespace) | {
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }


def _object(version: str, kind: str, name: str, namespace: str | None = None) -> Object:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}
