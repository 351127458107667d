# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What the names of Istio's own objects are for one of its revisions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Istio's port for certificates and configuration over TLS.
XDS_PORT = 15012


@dataclass(frozen=True)
class Revision:
    """One control plane of a cluster; ``default`` is the one whose objects carry no revision."""

    name: str = "default"
    namespace: str = "istio-system"

    @property
    def named(self) -> bool:
        """Whether its objects carry the revision in their names."""
        return self.name not in ("", "default")

    def of(self, name: str) -> str:
        """The name of an object that there is once per revision, like ``istio``."""
        return f"{name}-{self.name}" if self.named else name

    @property
    def service(self) -> str:
        """Name of its Service."""
        return self.of("istiod")

    @property
    def server_name(self) -> str:
        """The name that stands in istiod's certificate."""
        return f"{self.service}.{self.namespace}.svc"

    @property
    def address(self) -> str:
        """Where it is reached inside the cluster, ``HOST:PORT``."""
        return f"{self.server_name}:{XDS_PORT}"
