# SPDX-License-Identifier: Apache-2.0
"""Endpoints and accounts of a service, whatever kind of object it comes from. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mesh_control.model import Document, Endpoint, Labels
from mesh_control.registry.members import Member, group_labels, speaks_mutual_tls
from mesh_control.registry.selection import Index
from mesh_core.identity import SpiffeId


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What services are built from, apart from their own documents."""

    trust_domain: str
    domain: str  # cluster.local
    addresses: Mapping[str, str]  # allocated, by host
    members: Index[Member]  # by the labels of workloads
    groups: Index[Document]  # by the labels that they give

    @classmethod
    def of(
        cls,
        trust_domain: str,
        domain: str,
        addresses: Mapping[str, str],
        members: Iterable[Member],
        groups: Iterable[Document],
    ) -> Surroundings:
        """Put members (by name) and groups in order."""
        ordered = sorted(members, key=lambda member: member.key)
        return cls(
            trust_domain,
            domain,
            addresses,
            Index((m.workload.namespace, m.workload.labels, m) for m in ordered),
            Index((group.namespace, group_labels(group), group) for group in groups),
        )

    def identity(self, namespace: str, account: str) -> str:
        """Return an account's SPIFFE id."""
        return str(SpiffeId(self.trust_domain, namespace, account))


def is_ip(text: str) -> bool:
    """Whether ``text`` is an address, not a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def of_member(member: Member, port: int, service_port: str) -> Endpoint:
    """Return a workload as the endpoint of a service's port."""
    workload = member.workload
    return Endpoint(
        address=workload.address,
        port=port,
        service_port=service_port,
        network=workload.network,
        namespace=workload.namespace,
        service_account=workload.service_account,
        workload=workload.name,
        labels=workload.labels,
        locality=workload.locality,
        weight=workload.weight,
        mutual_tls=member.mutual_tls,
        healthy=workload.healthy,
    )


def of_entry(spec: Mapping[str, Any], namespace: str, port: int, service_port: str) -> Endpoint:
    """Return an endpoint that a ServiceEntry holds itself."""
    return Endpoint(
        address=spec["address"],
        port=spec.get("ports", {}).get(service_port, port),
        service_port=service_port,
        network=spec.get("network", ""),
        namespace=namespace,
        service_account=spec.get("serviceAccount", ""),
        workload="",
        labels=spec.get("labels", {}),
        locality=spec.get("locality", ""),
        weight=spec.get("weight") or 1,
        mutual_tls=speaks_mutual_tls(spec),
    )


def plain(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint without mutual TLS."""
    return replace(endpoint, mutual_tls=False)


def without_doubles(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Keep one endpoint of each port, network and address: Envoy allows one.

    It is the first healthy one, if there is one: a host that came back under another name may
    still be there under its old one.
    """
    first: dict[tuple[str, str, str, int], Endpoint] = {}
    for endpoint in sorted(endpoints, key=lambda endpoint: not endpoint.healthy):
        key = (endpoint.service_port, endpoint.network, endpoint.address, endpoint.port)
        first.setdefault(key, endpoint)
    return tuple(first.values())


def accounts(
    namespace: str, selector: Labels, selected: Iterable[Member], around: Surroundings
) -> set[str]:
    """Return the SPIFFE ids of all workloads that may be selected, healthy, there yet or not."""
    names = {member.workload.service_account for member in selected}
    for group in around.groups.select(namespace, selector):
        template: Any = group.spec["template"]
        names.add(template.get("serviceAccount", ""))
    return {around.identity(namespace, name) for name in names if name}
