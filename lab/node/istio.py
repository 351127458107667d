# SPDX-License-Identifier: Apache-2.0
"""Istio as the user of a real cluster installs it: the chart, with our images. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lab.node.pods import ISTIOD, PROXY

NAMESPACE = "istio-system"


def settings(cluster: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What istioctl is told: our images, nothing downloaded, small pods, little waiting.

    `environment` are istiod's own settings.
    """
    values = {
        "global.proxy.image": PROXY,
        "global.proxy_init.image": PROXY,
        "global.imagePullPolicy": "Never",
        "global.nativeNftables": "true",
        "global.multiCluster.clusterName": cluster,
        "global.proxy.readinessPeriodSeconds": "1",
        "global.proxy.resources.requests.cpu": "10m",
        "global.proxy.resources.requests.memory": "40Mi",
        "pilot.image": ISTIOD,
        "pilot.autoscaleEnabled": "false",
        "pilot.resources.requests.cpu": "10m",
        "pilot.resources.requests.memory": "100Mi",
        "telemetry.enabled": "false",
        **{f"pilot.env.{name}": value for name, value in environment.items()},
    }
    return {"profile": "minimal"} | {f"values.{name}": value for name, value in values.items()}
