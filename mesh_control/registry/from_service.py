# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes Service in front of workloads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mesh_control.model import Document, Endpoint, Labels, Resolution, Service, ServicePort
from mesh_control.objects.problems import Kind, Problem
from mesh_control.registry.endpoints import (
    Surroundings,
    accounts,
    is_ip,
    of_member,
    without_doubles,
)
from mesh_control.registry.members import Member
from mesh_control.registry.protocols import protocol


def service_host(document: Document, domain: str) -> str:
    """Return the full name of a Service."""
    return f"{document.name}.{document.namespace}.svc.{domain}"


def cluster_ips(document: Document) -> tuple[str, ...]:
    """Return the addresses that the Service brings; empty when headless or to be allocated."""
    spec: Any = document.spec
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP", "")]
    return tuple(address for address in addresses if address not in ("", "None"))


def is_headless(document: Document) -> bool:
    """Whether the Service has no virtual address by its own wish."""
    clustered: Any = document.spec.get("clusterIPs", [])
    return "None" in (document.spec.get("clusterIP"), *clustered)


def from_service(document: Document, around: Surroundings) -> tuple[Service, list[Problem]]:
    """Return the service, and target port names that a selected workload does not have."""
    spec: Any = document.spec
    host = service_host(document, around.domain)
    selector: Labels = spec.get("selector", {})
    members = [
        member
        for member in around.members.select(document.namespace, selector)
        if is_ip(member.workload.address)
    ]
    allocated = [around.addresses[host]] if host in around.addresses else []
    ports = [_port(port, document, selector, members, around) for port in spec.get("ports", [])]
    endpoints: list[Endpoint] = []
    problems: list[Problem] = []
    for index, port in enumerate(spec.get("ports", [])):
        for member in members:
            target = target_port(port, member)
            if target is None:
                problems.append(_no_port(document, index, port, member))
            else:
                endpoints.append(of_member(member, target, port.get("name", "")))
    service = Service(
        host=host,
        name=document.name,
        namespace=document.namespace,
        registry="Kubernetes",
        addresses=() if is_headless(document) else cluster_ips(document) or tuple(allocated),
        ports=tuple(ports),
        resolution=Resolution.STATIC,
        endpoints=without_doubles(endpoints),
        service_accounts=tuple(sorted(accounts(document.namespace, selector, members, around))),
    )
    return service, problems


def target_port(port: Mapping[str, Any], member: Member) -> int | None:
    """Return the workload's port behind a service's port; None when the name is not known there.

    As istiod does: a target port by name is looked up in the workload's ports; a number holds
    unless the workload has a port of the service port's name.
    """
    target: int | str = port.get("targetPort", port["port"])
    ports = member.workload.ports
    if isinstance(target, str):
        return ports.get(target) or member.named_ports.get(target)
    return ports.get(port.get("name", ""), target)


def _port(
    port: Mapping[str, Any],
    document: Document,
    selector: Labels,
    members: Sequence[Member],
    around: Surroundings,
) -> ServicePort:
    """Return the port; a target by name is that of the groups, or of the first workload."""
    name, number = port.get("name", ""), port["port"]
    target = port.get("targetPort", number)
    if isinstance(target, str):
        groups = around.groups.select(document.namespace, selector)
        target = next(_named(target, groups, members), number)
    kind = protocol(name, number, port.get("appProtocol", ""))
    return ServicePort(name, number, kind, target)


def _named(name: str, groups: Sequence[Document], members: Sequence[Member]) -> Iterator[int]:
    for group in groups:
        template: Any = group.spec["template"]
        if name in template.get("ports", {}):
            yield template["ports"][name]
    for member in members:
        ports = {**member.named_ports, **member.workload.ports}
        if name in ports:
            yield ports[name]


def _no_port(document: Document, index: int, port: Mapping[str, Any], member: Member) -> Problem:
    known = ", ".join(sorted({**member.named_ports, **member.workload.ports})) or "none"
    return Problem(
        document.where,
        f"workload {member.key} has no port {port['targetPort']!r} (it names: {known}); "
        "it is no endpoint",
        f"Service {document.namespace}/{document.name}",
        f"spec.ports[{index}].targetPort",
        Kind.ADVICE,
    )
