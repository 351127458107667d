# SPDX-License-Identifier: Apache-2.0
"""Istio's chart for a cluster whose istiod runs beside it, and whose pods have our images. Pure.

Pods find istiod by its Service, which has no selector here but a fixed endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.cluster.istiod_plan import IstiodPlan
from lab.node.pods import PROXY

# What is of istiod's own pod, or is there already.
_LEFT_OUT = (
    "CustomResourceDefinition",
    "Deployment",
    "HorizontalPodAutoscaler",
    "Namespace",
    "PodDisruptionBudget",
    "ValidatingWebhookConfiguration",
)
_SECURE, _WEBHOOK = 15012, 443


def settings(cluster: str) -> dict[str, str]:
    """What istioctl is told: our image in every pod, nothing downloaded, little waiting."""
    values = {
        "global.proxy.image": PROXY,
        "global.proxy_init.image": PROXY,
        "global.imagePullPolicy": "Never",
        "global.nativeNftables": "true",
        "global.multiCluster.clusterName": cluster,
        "global.proxy.readinessPeriodSeconds": "1",
        "global.proxy.resources.requests.cpu": "10m",
        "global.proxy.resources.requests.memory": "40Mi",
        "telemetry.enabled": "false",
    }
    return {"profile": "minimal"} | {f"values.{name}": value for name, value in values.items()}


def objects(chart: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The chart's objects as they are for an istiod that is no pod."""
    return [_changed(document) for document in chart if not _left_out(document)]


def endpoints(plan: IstiodPlan) -> dict[str, Any]:
    """An EndpointSlice that leads the chart's Service to istiod, port by port of the same name."""
    ports = {"https-dns": plan.ports.secure, "https-webhook": plan.ports.webhook}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "istiod-beside",
            "namespace": plan.namespace,
            "labels": {
                "kubernetes.io/service-name": "istiod",
                "endpointslice.kubernetes.io/managed-by": "lab",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [plan.address], "conditions": {"ready": True}}],
        "ports": [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports.items()],
    }


def _left_out(document: Mapping[str, Any]) -> bool:
    # The ConfigMap of the mesh is made by whoever starts istiod.
    mesh = document["kind"] == "ConfigMap" and document["metadata"]["name"] == "istio"
    return mesh or document["kind"] in _LEFT_OUT


def _changed(document: Mapping[str, Any]) -> dict[str, Any]:
    if document["kind"] != "Service":
        return dict(document)
    ports = [port for port in document["spec"]["ports"] if port["port"] in (_SECURE, _WEBHOOK)]
    kept = {name: value for name, value in document["spec"].items() if name != "selector"}
    return {**document, "spec": {**kept, "ports": ports}}
