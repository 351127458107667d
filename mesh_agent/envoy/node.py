# SPDX-License-Identifier: Apache-2.0
"""Who Envoy says it is: node id and metadata in the form that istiod reads. Pure.

The keys are those of Istio's agent (``pkg/bootstrap/config.go``, ``pkg/model/proxy.go``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mesh_agent.adapt.abilities import HAS_IPV6
from mesh_agent.envoy.probe import readiness_probe
from mesh_agent.settings import AgentSettings

# The release whose protocol this agent speaks: istiod decides by it what it may send.
ISTIO_VERSION = "1.32.0"
STATUS_PORT = 15021
PROMETHEUS_PORT = 15090

_LOCALITY_LABELS = ("topology.istio.io/locality", "istio-locality")


def node(settings: AgentSettings, *, has_ipv6: bool) -> dict[str, Any]:
    """Return the ``node`` of the bootstrap: id, cluster, locality, metadata.

    ``has_ipv6``: whether the host's kernel has IPv6.
    """
    workload = settings.workload
    kind = "router" if settings.profile == "gateway" else "sidecar"
    services = f"{workload.namespace}.svc.{settings.mesh.domain}"
    labels = _labels(settings)
    return {
        "id": f"{kind}~{workload.addresses[0]}~{workload.name}.{workload.namespace}~{services}",
        "cluster": f"{labels['service.istio.io/canonical-name']}.{workload.namespace}",
        "locality": _locality(workload.labels),
        "metadata": _metadata(settings, labels, has_ipv6=has_ipv6),
    }


def _metadata(
    settings: AgentSettings, labels: Mapping[str, str], *, has_ipv6: bool
) -> dict[str, Any]:
    workload, mesh = settings.workload, settings.mesh
    metadata: dict[str, Any] = {
        "NAME": workload.name,
        "NAMESPACE": workload.namespace,
        "SERVICE_ACCOUNT": workload.service_account,
        "WORKLOAD_NAME": _workload_name(settings),
        "LABELS": dict(labels),
        "INSTANCE_IPS": ",".join(dict.fromkeys(workload.addresses)),
        "CLUSTER_ID": mesh.cluster_id,
        "MESH_ID": mesh.mesh_id,
        "NETWORK": mesh.network,
        "ISTIO_VERSION": ISTIO_VERSION,
        "PILOT_SAN": [settings.control_plane.server_name],
        "WORKLOAD_IDENTITY_SOCKET_FILE": "socket",
        "ENVOY_STATUS_PORT": STATUS_PORT,
        "ENVOY_PROMETHEUS_PORT": PROMETHEUS_PORT,
        "METADATA_DISCOVERY": "false",
        "PROXY_CONFIG": _proxy_config(settings),
    }
    if settings.profile != "gateway":
        captured = settings.redirect.mode == "transparent"
        metadata["INTERCEPTION_MODE"] = "REDIRECT" if captured else "NONE"
        if has_ipv6:  # with addresses, captured or not: that may change while Envoy runs
            metadata[HAS_IPV6] = True
    if workload.group:
        metadata["AUTO_REGISTER_GROUP"] = workload.group
    if settings.network_view:
        metadata["REQUESTED_NETWORK_VIEW"] = ",".join(settings.network_view)
    if workload.ports:
        # A JSON text inside a string, as the environment variable that Istio makes it from.
        metadata["POD_PORTS"] = json.dumps(
            [
                {"name": port.name, "containerPort": port.port, "protocol": port.protocol}
                for port in workload.ports
            ]
        )
    if settings.dns.enabled:
        metadata |= {"DNS_CAPTURE": "true", "DNS_AUTO_ALLOCATE": "true"}
    return metadata


def _proxy_config(settings: AgentSettings) -> dict[str, Any]:
    """Istio's ProxyConfig as proto-JSON; the probe in it makes istiod wait for the first report."""
    config: dict[str, Any] = {
        "discoveryAddress": settings.control_plane.addresses[0],
        "controlPlaneAuthPolicy": "MUTUAL_TLS",
        "statusPort": settings.status.port,
        "terminationDrainDuration": f"{settings.proxy.drain_seconds}s",
    }
    if settings.health.probe:
        config["readinessProbe"] = readiness_probe(settings.health.probe)
    return config


def _labels(settings: AgentSettings) -> dict[str, str]:
    """Labels with those of telemetry, as ``istioctl x workload entry configure`` sets them."""
    given = settings.workload.labels
    return {
        "service.istio.io/canonical-name": given.get("app") or _workload_name(settings),
        "service.istio.io/canonical-revision": given.get("version", "latest"),
        **given,
    }


def _workload_name(settings: AgentSettings) -> str:
    workload = settings.workload
    return workload.workload_name or workload.group or workload.name


def _locality(labels: Mapping[str, str]) -> dict[str, str]:
    """``region/zone/subzone`` from a label; with dots where a label's value forbids slashes."""
    text = next((labels[label] for label in _LOCALITY_LABELS if label in labels), "")
    parts = (text if "/" in text else text.replace(".", "/")).split("/")
    return {
        key: part for key, part in zip(("region", "zone", "sub_zone"), parts, strict=False) if part
    }
