# SPDX-License-Identifier: Apache-2.0
"""What the discovery service needs of the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mesh_control.model import MeshSnapshot, Proxy
from mesh_core.identity import SpiffeId


class Mesh(Protocol):
    """The mesh as it is now, and the workloads that come and go. `Registry` is one."""

    def snapshot(self) -> MeshSnapshot:
        """Return everything that decides what proxies get."""

    def subscribe(self, callback: Callable[[], None]) -> object:
        """Have ``callback`` called at each change, many in a row."""

    def register(self, proxy: Proxy, identity: SpiffeId, connection: str) -> object:
        """Register a workload; MeshError with a gRPC ``status`` when it cannot be."""

    def disconnected(self, connection: str) -> None:
        """Note the end of a connection, registered or not."""

    def health(self, connection: str, healthy: bool, message: str = "") -> None:
        """Note what a host says of its application."""
