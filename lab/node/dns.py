# SPDX-License-Identifier: Apache-2.0
"""The cluster's DNS: CoreDNS as a Deployment, at the address that kubelets give to pods. Pure."""

from __future__ import annotations

from typing import Any

from lab.node.pods import DNS
from lab.node.spec import DNS_ADDRESS

_NAMESPACE = "kube-system"
_NAME = "coredns"
_LABELS = {"k8s-app": "kube-dns"}
_READY_PORT = 8181
# Names beyond the cluster's are asked of the node's own nameserver, as clusters do.
_CONFIGURATION = """.:53 {
  errors
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa
  forward . /etc/resolv.conf
  cache 5
}
"""
_READS = [
    {"apiGroups": [""], "resources": ["services", "namespaces"], "verbs": ["list", "watch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
]


def objects() -> list[dict[str, Any]]:
    """All that CoreDNS needs."""
    group = "rbac.authorization.k8s.io"
    return [
        _object("v1", "ServiceAccount"),
        _object(f"{group}/v1", "ClusterRole", namespaced=False) | {"rules": _READS},
        _object(f"{group}/v1", "ClusterRoleBinding", namespaced=False)
        | {
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _NAME},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}],
        },
        _object("v1", "ConfigMap") | {"data": {"Corefile": _CONFIGURATION}},
        _object("apps/v1", "Deployment") | {"spec": _deployment()},
        _object("v1", "Service", "kube-dns")
        | {
            "spec": {
                "clusterIP": DNS_ADDRESS,
                "selector": _LABELS,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            }
        },
    ]


def _object(
    version: str, kind: str, name: str = _NAME, *, namespaced: bool = True
) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": _NAMESPACE} if namespaced else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _deployment() -> dict[str, Any]:
    container = {
        "name": _NAME,
        "image": DNS,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": _READY_PORT},
            "periodSeconds": 1,
        },
        "volumeMounts": [{"name": "configuration", "mountPath": "/etc/coredns"}],
    }
    pod = {
        "serviceAccountName": _NAME,
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "configuration", "configMap": {"name": _NAME}}],
    }
    return {
        "selector": {"matchLabels": _LABELS},
        "template": {"metadata": {"labels": _LABELS}, "spec": pod},
    }
