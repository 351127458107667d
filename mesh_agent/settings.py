# SPDX-License-Identifier: Apache-2.0
"""The agent's configuration: what /etc/mesh-agent/config.d holds, as values.

Every fragment there has one or more of `AgentSettings`' fields as its top-level keys; a key
stands in one file only, so that each role owns its own.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mesh_agent.dns.settings import DnsSettings
from mesh_agent.envoy.settings import ProxySettings
from mesh_agent.health.settings import HealthSettings
from mesh_agent.identity.settings import ControlPlaneSettings, IdentitySettings
from mesh_agent.redirect import node
from mesh_agent.redirect.settings import RedirectSettings
from mesh_agent.status.settings import StatusSettings
from mesh_core import config
from mesh_core.errors import ConfigError
from mesh_core.identity import SpiffeId


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The mesh that this host is in."""

    trust_domain: str = "cluster.local"
    """First part of every identity: ``spiffe://TRUST_DOMAIN/...``."""

    mesh_id: str = "mesh1"
    """Istio's MESH_ID."""

    cluster_id: str = "mesh1"
    """The cluster that the control plane counts this host to (CLUSTER_ID)."""

    network: str = "network-1"
    """Hosts with the same network reach each other directly (NETWORK)."""

    domain: str = "cluster.local"
    """DNS domain of the services: ``NAME.NAMESPACE.svc.DOMAIN``."""


@dataclass(frozen=True, slots=True)
class PortSettings:
    """A port that the workload serves (POD_PORTS)."""

    name: str
    """Name of the port, to which a Service's ``targetPort`` may refer."""

    port: int
    """Its number on the host."""

    protocol: Literal["TCP", "UDP"] = "TCP"

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        if not 0 < self.port < 65536:
            raise ValueError(f"port: expected a port between 1 and 65535, found {self.port}")


@dataclass(frozen=True, slots=True)
class WorkloadSettings:
    """Who this host is in the mesh."""

    name: str
    """Name of this instance, unique in its namespace; the host's name as a rule."""

    namespace: str
    """Namespace of the workload and of its service account."""

    service_account: str
    """The account that stands in its certificate."""

    addresses: tuple[str, ...]
    """The host's addresses that peers may use; the first one is the workload's address."""

    group: str | None = None
    """WorkloadGroup to be registered against; None: not registered (a gateway)."""

    workload_name: str | None = None
    """Name in telemetry; None: the group's, or else the instance's."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of this instance, on top of the group's."""

    ports: tuple[PortSettings, ...] = ()
    """Ports that the workload serves."""

    def __post_init__(self) -> None:
        """Check what types cannot say; ValueError names the field."""
        for name in ("name", "namespace", "service_account"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected a name, found an empty string")
        if not self.addresses:
            raise ValueError("addresses: expected at least one IP address, found none")
        for index, text in enumerate(self.addresses):
            try:
                ipaddress.ip_address(text)
            except ValueError as error:
                raise ValueError(
                    f"addresses[{index}]: expected an IP address, found {text!r}"
                ) from error


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Everything that is configured on a host; the fields are the fragments' top-level keys."""

    control_plane: ControlPlaneSettings
    workload: WorkloadSettings
    mesh: MeshSettings = field(default_factory=MeshSettings)
    profile: Literal["vm", "node", "gateway"] = "vm"
    """``vm``: a workload with captured traffic; ``node``: a Kubernetes node, of whose traffic only
    the mesh's own is captured; ``gateway``: Envoy as a router of the mesh."""

    network_view: tuple[str, ...] = ()
    """Gateway: the networks whose endpoints it reaches directly (REQUESTED_NETWORK_VIEW)."""

    identity: IdentitySettings = field(default_factory=IdentitySettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    status: StatusSettings = field(default_factory=StatusSettings)
    proxy: ProxySettings = field(default_factory=ProxySettings)
    dns: DnsSettings = field(default_factory=DnsSettings)
    redirect: RedirectSettings = field(default_factory=RedirectSettings)

    def __post_init__(self) -> None:
        """Check what concerns several sections; ValueError names the field."""
        if self.profile == "node":
            node.check(self.redirect, self.served_ports, self.workload.addresses)

    @property
    def capture(self) -> RedirectSettings:
        """What is redirected on a host of this profile."""
        if self.profile == "node":
            return node.on_node(self.redirect, self.served_ports)
        return self.redirect

    @property
    def served_ports(self) -> tuple[int, ...]:
        """The TCP ports of the workload."""
        return tuple(port.port for port in self.workload.ports if port.protocol == "TCP")

    @property
    def spiffe_id(self) -> SpiffeId:
        """The identity that this host is to have."""
        return SpiffeId(
            self.mesh.trust_domain, self.workload.namespace, self.workload.service_account
        )


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the agent keeps and offers things; another ``state`` and ``run`` for runs by hand."""

    state: Path = Path("/var/lib/mesh-agent")
    run: Path = Path("/run")

    @property
    def sds_socket(self) -> Path:
        """Where Envoy asks for certificates."""
        return self.run / "mesh-agent" / "sds.sock"

    @property
    def xds_socket(self) -> Path:
        """Where Envoy asks for its configuration."""
        return self.run / "mesh-agent" / "xds.sock"

    @property
    def admin_socket(self) -> Path:
        """Envoy's administration interface."""
        return self.run / "mesh-proxy" / "admin.sock"


def load(directory: Path) -> AgentSettings:
    """Read the fragments in ``directory``; ConfigError names file and path in it."""
    return config.load_directory(AgentSettings, directory)


def check_fragment(path: Path) -> None:
    """Check one fragment on its own, before it is put in its place; ConfigError."""
    data = config.load_yaml(path)
    if data is None:
        return
    hints = typing.get_type_hints(AgentSettings)
    if not isinstance(data, dict) or not set(data) <= set(hints):
        config.parse(AgentSettings, data, str(path))  # says what is wrong
        return
    present = dataclasses.make_dataclass("Fragment", [(key, hints[key]) for key in data])
    config.parse(present, data, str(path))


def check_files(settings: AgentSettings) -> None:
    """Check that the files which the settings name can be read; ConfigError."""
    path = settings.control_plane.root_certificate
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            "control_plane.root_certificate", f"{path} cannot be read: {error.strerror}"
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(
            "control_plane.root_certificate", f"expected PEM certificates in {path}, found none"
        )
