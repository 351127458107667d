# SPDX-License-Identifier: Apache-2.0
"""Workloads as services see them: from WorkloadEntry documents and from registrations. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh_control.model import Document, Labels, Proxy, Workload
from mesh_control.registry.errors import RegistrationError
from mesh_control.registry.proxy import has_probe, locality_of, named_ports
from mesh_core.identity import SpiffeId

TLS_MODE_LABEL = "security.istio.io/tlsMode"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Node:
    """What a registered proxy said of itself; outlives its connection."""

    address: str
    service_account: str  # of its certificate
    network: str = ""
    labels: Labels = field(default_factory=dict)
    locality: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)  # POD_PORTS
    probes: bool = False

    @classmethod
    def of(cls, proxy: Proxy, identity: SpiffeId) -> Node:
        """Take what counts from a proxy; NodeError when its POD_PORTS are unreadable."""
        return cls(
            address=proxy.addresses[0],
            service_account=identity.service_account,
            network=proxy.network,
            labels={k: v for k, v in proxy.labels.items() if k != "istio-locality"},
            locality=locality_of(proxy),
            ports=named_ports(proxy),
            probes=has_probe(proxy),
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A workload that services may select."""

    workload: Workload
    mutual_tls: bool
    named_ports: Mapping[str, int] = field(default_factory=dict)  # for target ports by name only

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.workload.namespace}/{self.workload.name}"


def entry_name(group: str, node: Node) -> str:
    """Return ``<group>-<address>[-<network>]`` as istiod does; RegistrationError if it is no name.

    A longer name than Kubernetes allows keeps its end.
    """
    parts = [group, node.address.replace(":", "-")] + ([node.network] if node.network else [])
    name = "-".join(parts)[-_LONGEST_NAME:]
    if not _NAME.fullmatch(name):
        raise RegistrationError(
            f"expected a name of lower-case letters, digits, '-' and '.' for the WorkloadEntry, "
            f"found {name!r} (group {group!r}, network {node.network!r})",
            "INVALID_ARGUMENT",
        )
    return name


def from_document(document: Document) -> Member:
    """Read a WorkloadEntry; it counts as healthy, as nobody reports on it."""
    return _member(document.name, document.namespace, document.spec)


def from_registration(name: str, group: Document, node: Node, *, healthy: bool | None) -> Member:
    """Apply a WorkloadGroup's template to a node: template < group's metadata < node.

    ``healthy`` is the last report; without one a workload that is probed counts as unhealthy.
    """
    spec = group_template(group)
    template: Any = spec["template"]
    merged = {
        **template,
        "address": node.address,
        "labels": {**group_labels(group), **node.labels},
        "serviceAccount": node.service_account,
        "network": node.network or template.get("network", ""),
        "locality": node.locality or template.get("locality", ""),
    }
    if healthy is None:
        healthy = not (node.probes or "probe" in spec)
    member = _member(
        name, group.namespace, merged, group=group.name, healthy=healthy, registered=True
    )
    return Member(member.workload, member.mutual_tls, node.ports)


def group_template(group: Document) -> Mapping[str, Any]:
    """Return a WorkloadGroup's spec."""
    return group.spec


def group_labels(group: Document) -> Labels:
    """Return the labels that a WorkloadGroup gives to its workloads."""
    spec = group_template(group)
    return {**spec["template"].get("labels", {}), **spec.get("metadata", {}).get("labels", {})}


def speaks_mutual_tls(spec: Mapping[str, Any], *, registered: bool = False) -> bool:
    """Whether an Envoy of the mesh stands in front: said by a label, or by having an account."""
    mode = spec.get("labels", {}).get(TLS_MODE_LABEL)
    if mode is not None:
        return bool(mode == "istio")
    return registered or bool(spec.get("serviceAccount"))


def _member(
    name: str,
    namespace: str,
    spec: Mapping[str, Any],
    *,
    group: str = "",
    healthy: bool = True,
    registered: bool = False,
) -> Member:
    workload = Workload(
        name=name,
        namespace=namespace,
        service_account=spec.get("serviceAccount", ""),
        address=spec["address"],
        network=spec.get("network", ""),
        labels=spec.get("labels", {}),
        ports=spec.get("ports", {}),
        locality=spec.get("locality", ""),
        weight=spec.get("weight") or 1,
        group=group,
        healthy=healthy,
    )
    return Member(workload, speaks_mutual_tls(spec, registered=registered))
