# SPDX-License-Identifier: Apache-2.0
"""A ServiceEntry: one service for each of its hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh_control.model import Document, Endpoint, Labels, Resolution, Service, ServicePort
from mesh_control.registry.endpoints import (
    Surroundings,
    accounts,
    is_ip,
    of_entry,
    of_member,
    plain,
    without_doubles,
)
from mesh_control.registry.members import Member
from mesh_control.registry.protocols import protocol

_ALLOCATION_LABEL = "networking.istio.io/enable-autoallocate-ip"


def resolution_of(document: Document) -> Resolution:
    """Return how the endpoints are found; NONE when the entry does not say."""
    return Resolution(str(document.spec.get("resolution", "NONE")))


def wants_addresses(document: Document) -> bool:
    """Whether hosts of the entry get an address: none is given, and there is one to go to."""
    return (
        not document.spec.get("addresses")
        and resolution_of(document) is not Resolution.NONE
        and document.labels.get(_ALLOCATION_LABEL) != "false"
    )


def from_service_entry(document: Document, around: Surroundings) -> Iterator[Service]:
    """Yield the service of each host."""
    spec: Any = document.spec
    resolution = resolution_of(document)
    external = spec.get("location", "MESH_EXTERNAL") == "MESH_EXTERNAL"
    selector: Labels = spec.get("workloadSelector", {}).get("labels", {})
    members = [
        member
        for member in around.members.select(document.namespace, selector)
        if resolution is Resolution.DNS or is_ip(member.workload.address)
    ]
    identities = set(spec.get("subjectAltNames", []))
    identities |= accounts(document.namespace, selector, members, around)
    for endpoint in spec.get("endpoints", []):
        if endpoint.get("serviceAccount"):
            identities.add(around.identity(document.namespace, endpoint["serviceAccount"]))
    for name in spec["hosts"]:
        host = name.lower()
        endpoints = without_doubles(_endpoints(document, host, members))
        allocated = [around.addresses[host]] if host in around.addresses else []
        yield Service(
            host=host,
            name=document.name,
            namespace=document.namespace,
            registry="External",
            addresses=tuple(spec.get("addresses") or allocated),
            ports=tuple(_ports(document)),
            resolution=resolution,
            endpoints=tuple(plain(e) for e in endpoints) if external else endpoints,
            service_accounts=tuple(sorted(identities)),
            external=external,
        )


def _ports(document: Document) -> Iterator[ServicePort]:
    spec: Any = document.spec
    for port in spec.get("ports", []):
        kind = protocol(port["name"], port["number"], port.get("protocol", ""))
        target = port.get("targetPort", port["number"])
        yield ServicePort(port["name"], port["number"], kind, target)


def _endpoints(document: Document, host: str, members: list[Member]) -> Iterator[Endpoint]:
    spec: Any = document.spec
    inline = spec.get("endpoints", [])
    if resolution_of(document) is Resolution.DNS and not inline and "workloadSelector" not in spec:
        inline = [{"address": host}]
    for port in _ports(document):
        for member in members:
            number = member.workload.ports.get(port.name, port.target)
            yield of_member(member, number, port.name)
        for endpoint in inline:
            yield of_entry(endpoint, document.namespace, port.target, port.name)
