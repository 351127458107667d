# SPDX-License-Identifier: Apache-2.0
"""Documents, workloads and allocated addresses -> services. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mesh_control.model import Document, Service
from mesh_control.objects.problems import Problem
from mesh_control.registry.endpoints import Surroundings
from mesh_control.registry.from_service import (
    cluster_ips,
    from_service,
    is_headless,
    service_host,
)
from mesh_control.registry.from_service_entry import from_service_entry, wants_addresses


def build_services(
    documents: Iterable[Document], around: Surroundings
) -> tuple[dict[str, Service], list[Problem]]:
    """Return the services by host: Kubernetes' before ServiceEntries, older before newer ones."""
    services: dict[str, Service] = {}
    problems: list[Problem] = []
    ordered = sorted(documents, key=lambda document: document.created)
    for document in ordered:
        if document.kind == "Service":
            service, wrong = from_service(document, around)
            services.setdefault(service.host, service)
            problems += wrong
    for document in ordered:
        if document.kind == "ServiceEntry":
            for service in from_service_entry(document, around):
                services.setdefault(service.host, service)
    return dict(sorted(services.items())), problems


def hosts_without_address(documents: Iterable[Document], domain: str) -> Iterator[str]:
    """Yield the hosts that an address is to be allocated for."""
    for document in documents:
        if document.kind == "Service":
            if not cluster_ips(document) and not is_headless(document):
                yield service_host(document, domain)
        elif document.kind == "ServiceEntry" and wants_addresses(document):
            hosts: list[str] = document.spec["hosts"]  # type: ignore[assignment]
            yield from (host.lower() for host in hosts if not host.startswith("*"))


def given_addresses(documents: Iterable[Document]) -> Iterator[str]:
    """Yield the addresses that documents give to services."""
    for document in documents:
        if document.kind == "Service":
            yield from cluster_ips(document)
        elif document.kind == "ServiceEntry":
            yield from document.spec.get("addresses", [])  # type: ignore[misc]
