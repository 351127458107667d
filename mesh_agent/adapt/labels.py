# SPDX-License-Identifier: Apache-2.0
"""Which of Istio's labels are told from which label that Envoy keeps. Pure.

Written by `mesh_agent.adapt.metrics`, read by `mesh_agent.status.standard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WITHOUT: Final = "without"
"""Istio's labels that an operator does not want, with commas between them."""

CUSTOM: Final = "custom_"
"""Before the name of a label that an operator gave an expression for."""

WORKLOAD: Final = (
    "workload",
    "workload_namespace",
    "canonical_service",
    "canonical_revision",
    "cluster",
    "app",
    "version",
)
"""Parts of a label that describes a workload, in their order."""

SERVICE: Final = (
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
)
"""Parts of the label that describes a service, in their order."""

TOLD: Final[Mapping[str, frozenset[str]]] = {
    "reporter": frozenset({"reporter", "connection_security_policy"}),
    **{
        f"{side}_peer": frozenset(f"{side}_{part}" for part in WORKLOAD)
        for side in ("source", "destination")
    },
    "source_principal": frozenset(
        {"source_principal", "source_workload_namespace", "connection_security_policy"}
    ),
    "destination_principal": frozenset({"destination_principal", "destination_workload_namespace"}),
    "destination_services": frozenset(SERVICE),
    "grpc_response_status": frozenset({"grpc_response_status", "request_protocol"}),
    "response_code": frozenset({"response_code"}),
    "response_flags": frozenset({"response_flags"}),
}
"""A label that Envoy keeps -> what is told from it."""

STANDARD: Final = frozenset().union(*TOLD.values())
