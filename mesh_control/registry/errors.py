# SPDX-License-Identifier: Apache-2.0
"""Why a proxy was not taken; each error carries the gRPC status that istiod would answer."""

from __future__ import annotations

from mesh_core.errors import MeshError


class NodeError(MeshError):
    """The node of a request does not say who asks."""

    status = "INVALID_ARGUMENT"


class RegistrationError(MeshError):
    """A workload was not registered. ``status`` is the name of a gRPC status code."""

    def __init__(self, message: str, status: str = "FAILED_PRECONDITION") -> None:
        super().__init__(message)
        self.status = status
