# SPDX-License-Identifier: Apache-2.0
"""How an istiod learns of another cluster. Pure."""

from __future__ import annotations

from typing import Any


def remote_secret(cluster: str, kubeconfig: str, namespace: str = "istio-system") -> dict[str, Any]:
    """The Secret by which an istiod also reads the cluster of that ID, reached by `kubeconfig`.

    It is what `istioctl create-remote-secret` prints, which needs a controller-manager to work.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"istio-remote-secret-{cluster}",
            "namespace": namespace,
            "labels": {"istio/multiCluster": "true"},
            "annotations": {"networking.istio.io/cluster": cluster},
        },
        "stringData": {cluster: kubeconfig},
    }
