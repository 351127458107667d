# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Where hosts outside the cluster reach one of its Services. Pure."""

from __future__ import annotations

import ipaddress
import json
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._endpoint import join

Object = t.Dict[str, t.Any]

# Which nodes serve a NodePort, by labels (JSON); Istio's own annotation, ``{}`` is all of them.
NODE_SELECTOR = "traffic.istio.io/nodeSelector"
_NODE_ADDRESSES = ("ExternalIP", "InternalIP")


def is_address(text: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_of(address: str) -> str:
    """The host of ``HOST:PORT`` or ``[ADDRESS]:PORT``."""
    return address.rpartition(":")[0].strip("[]")


def inside_cluster(host: str) -> bool:
    """Whether a name means something inside a cluster only: ``NAME.NAMESPACE.svc...``."""
    parts = host.rstrip(".").split(".")
    return "svc" in parts[2:3] or (len(parts) == 1 and not is_address(host))


def outer_hosts(service: Object) -> list[str]:
    """Addresses and names that its load balancer, or its ``externalIPs``, give a Service."""
    status = (service.get("status") or {}).get("loadBalancer") or {}
    given = status.get("ingress") or []
    found = [str(entry.get("ip") or entry.get("hostname") or "") for entry in given]
    found += (service.get("spec") or {}).get("externalIPs") or []
    return list(dict.fromkeys(filter(None, found)))


def port_of(service: Object, port: int) -> Object | None:
    """The Service's port of that number; None when it has none."""
    ports = (service.get("spec") or {}).get("ports") or []
    return next((entry for entry in ports if entry.get("port") == port), None)


def outer_addresses(
    service: Object, port: int, nodes: t.Callable[[], t.Sequence[Object]]
) -> list[str]:
    """``HOST:PORT`` at which ``port`` of a Service is reached from outside; maybe none.

    ``nodes`` is asked only for a Service that has a NodePort and nothing better.
    """
    entry = port_of(service, port)
    if entry is None:
        return []
    hosts = outer_hosts(service)
    if hosts:
        return [join(host, port) for host in hosts]
    node_port = entry.get("nodePort")
    if not node_port:
        return []
    return [join(host, node_port) for host in node_hosts(service, nodes())]


def node_hosts(service: Object, nodes: t.Sequence[Object]) -> list[str]:
    """One address of each node that serves the Service's NodePorts, the external one if it has."""
    annotations = service["metadata"].get("annotations") or {}
    try:
        wanted = json.loads(annotations.get(NODE_SELECTOR) or "{}")
    except ValueError:
        return []
    found = []
    for node in nodes:
        labels = node["metadata"].get("labels") or {}
        given = (node.get("status") or {}).get("addresses") or []
        by_type = {entry["type"]: entry["address"] for entry in reversed(given)}
        best = next((by_type[kind] for kind in _NODE_ADDRESSES if kind in by_type), None)
        if best and all(labels.get(key) == value for key, value in wanted.items()):
            found.append(best)
    return found


def what_is_missing(service: Object, port: int, name: str) -> str:
    """Why a Service has no address for hosts outside, in words."""
    spec = service.get("spec") or {}
    if port_of(service, port) is None:
        numbers = ", ".join(str(entry.get("port")) for entry in spec.get("ports") or []) or "none"
        return f"Service {name}: expected a port {port}, found {numbers}"
    kind = spec.get("type", "ClusterIP")
    if kind == "LoadBalancer":
        return f"Service {name}: its load balancer has no address yet"
    return (
        f"Service {name} is of type {kind}: expected a LoadBalancer, externalIPs, or a NodePort "
        "and nodes"
    )
