# SPDX-License-Identifier: Apache-2.0
"""The kinds of object that are read, one file each, and the kinds that are known and not read."""

from __future__ import annotations

from collections.abc import Mapping

from mesh_control.objects.kinds import (
    authorization_policy,
    config_map,
    destination_rule,
    gateway,
    kubernetes,
    peer_authentication,
    service,
    service_entry,
    virtual_service,
    workload,
)
from mesh_control.objects.kinds.kind import ObjectKind

KINDS: Mapping[str, ObjectKind] = {
    kind.name: kind
    for kind in (
        authorization_policy.KIND,
        config_map.KIND,
        destination_rule.KIND,
        gateway.KIND,
        kubernetes.NAMESPACE,
        kubernetes.SERVICE_ACCOUNT,
        peer_authentication.KIND,
        service.KIND,
        service_entry.KIND,
        virtual_service.KIND,
        workload.ENTRY,
        workload.GROUP,
    )
}

# No typing errors: "not supported yet" is said of them.
KNOWN_KINDS = frozenset(
    {
        # Istio
        "EnvoyFilter",
        "ProxyConfig",
        "RequestAuthentication",
        "Sidecar",
        "Telemetry",
        "TrafficExtension",
        "WasmPlugin",
        # Gateway API
        "BackendTLSPolicy",
        "GRPCRoute",
        "GatewayClass",
        "HTTPRoute",
        "ReferenceGrant",
        "TCPRoute",
        "TLSRoute",
        # Kubernetes
        "ClusterRole",
        "ClusterRoleBinding",
        "CronJob",
        "DaemonSet",
        "Deployment",
        "EndpointSlice",
        "Endpoints",
        "HorizontalPodAutoscaler",
        "Ingress",
        "Job",
        "List",
        "NetworkPolicy",
        "Node",
        "Pod",
        "PodDisruptionBudget",
        "ReplicaSet",
        "Role",
        "RoleBinding",
        "Secret",
        "StatefulSet",
    }
)
