# SPDX-License-Identifier: Apache-2.0
"""Kubernetes' Service: ports in front of the workloads that its selector names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import LABELS, STRINGS
from mesh_control.objects.kinds.kind import CORE, ObjectKind, invalid, not_yet, unique
from mesh_control.objects.problems import Finding
from mesh_control.objects.scalars import (
    ANY,
    BOOL,
    DNS_LABEL,
    INT32,
    IP,
    PORT,
    STRING,
    is_dns_label,
    is_ip,
)
from mesh_control.objects.types import Choice, ListOf, Message, NumberOrText, Text

_PORT_NAME = Text(
    "the name of a port (at most 15 lower-case letters, digits and '-')",
    lambda text: is_dns_label(text) and len(text) <= 15 and not text.isdecimal(),
)
_CLUSTER_IP = Text("an IP address or None", lambda text: text in ("", "None") or is_ip(text))
_SCHEMA = Message(
    {
        "selector": LABELS,
        "ports": ListOf(
            Message(
                {
                    "name": DNS_LABEL,
                    "port": PORT,
                    "targetPort": NumberOrText(PORT, _PORT_NAME),
                    "protocol": Choice(("TCP", "UDP", "SCTP")),
                    "appProtocol": STRING,
                    "nodePort": PORT,
                },
                required=("port",),
            )
        ),
        "clusterIP": _CLUSTER_IP,
        "clusterIPs": ListOf(_CLUSTER_IP, at_most=2),
        "type": Choice(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
        "externalIPs": ListOf(IP),
        "externalName": STRING,
        "externalTrafficPolicy": Choice(("Cluster", "Local")),
        "internalTrafficPolicy": Choice(("Cluster", "Local")),
        "trafficDistribution": STRING,
        "loadBalancerIP": STRING,
        "loadBalancerClass": STRING,
        "loadBalancerSourceRanges": STRINGS,
        "allocateLoadBalancerNodePorts": BOOL,
        "healthCheckNodePort": INT32,
        "sessionAffinity": Choice(("None", "ClientIP")),
        "sessionAffinityConfig": ANY,
        "publishNotReadyAddresses": BOOL,
        "ipFamilies": ListOf(Choice(("IPv4", "IPv6"))),
        "ipFamilyPolicy": Choice(("SingleStack", "PreferDualStack", "RequireDualStack")),
    }
)
# What Istio takes from the metadata of a Service, and this control plane does not.
_LABELS = {
    "topology.istio.io/network": "name the gateway in meshNetworks of ConfigMap istio instead",
    "istio.io/use-waypoint": "",
    "istio.io/global": "",
}


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    ports = spec.get("ports", [])
    if not is_dns_label(document.name):
        message = f"expected a DNS label for the name of a Service, found {document.name!r}"
        yield invalid(("metadata", "name"), message)
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield invalid(("spec", "ports"), "expected at least 1 item, found 0")
    if len(ports) > 1:
        for index, port in enumerate(ports):
            if not port.get("name"):
                yield invalid(("spec", "ports", index, "name"), "is required with several ports")
    for key, what in (("port", "port"), ("name", "port name")):
        places = ((p[key], ("spec", "ports", i, key)) for i, p in enumerate(ports) if key in p)
        yield from unique(places, what)
    for label, hint in _LABELS.items():
        if label in document.labels:
            yield not_yet(("metadata", "labels", label), hint)


KIND = ObjectKind("Service", CORE, _SCHEMA, _rules)
