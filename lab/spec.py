# SPDX-License-Identifier: Apache-2.0
"""What a lab is made of, read from an inventory's variables. Pure: text in, dataclasses out.

The inventory is the only description. These variables of a host count:

    lab_networks     {NETWORK: {subnets: [IPv4, IPv6], gateways: [IPv4, IPv6]}}, as on every host
    lab_addresses    {NETWORK: [IPv4, IPv6]}: makes it a host of the lab, with an interface for each
    lab_workload     web | api | db | none: which of the image's workloads runs
    lab_environment  {NAME: value}: the workload's settings
    lab_dns          ADDRESS of the host's nameserver; the host that owns the address runs it
    lab_cluster      {id: NAME, network: NETWORK, namespaces: [NAME], environment: {NAME: value}}:
                     the host runs a Kubernetes API server and istiod (with these settings)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from lab.errors import LabError

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network

WORKLOADS = ("web", "api", "db", "none")


@dataclass(frozen=True, slots=True)
class Network:
    """A segment that no host routes into another; `gateways` are this machine's addresses on it."""

    name: str
    subnets: tuple[Subnet, ...]
    gateways: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Interface:
    """A host's addresses on one network, in the order IPv4, IPv6."""

    network: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes cluster without nodes, and its istiod.

    `network` is Istio's name of the cluster's network, `namespaces` are there for workloads, and
    `environment` holds settings of istiod.
    """

    id: str
    network: str
    namespaces: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Host:
    """One machine. Its interfaces are eth0, eth1... in the order of the networks' names."""

    name: str
    interfaces: tuple[Interface, ...]
    workload: str
    environment: tuple[tuple[str, str], ...]
    nameserver: Address
    cluster: Cluster | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Every address of the host; the first is the one it is reached at."""
        return tuple(a for interface in self.interfaces for a in interface.addresses)


@dataclass(frozen=True, slots=True)
class Lab:
    """All hosts and networks of one lab."""

    name: str
    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]

    @property
    def cluster_host(self) -> tuple[Host, Cluster] | None:
        """The host that runs a cluster, if one does."""
        return next(((host, host.cluster) for host in self.hosts if host.cluster), None)


def from_inventory(name: str, inventory: Mapping[str, object]) -> Lab:
    """The lab that the output of `ansible-inventory --list` describes; LabError if it is no lab."""
    variables = {
        host: values for host, values in _hostvars(inventory).items() if "lab_addresses" in values
    }
    if not variables:
        raise LabError("the inventory has no host with lab_addresses: nothing to start")
    networks = _networks(variables)
    hosts = tuple(_host(host, values, networks) for host, values in sorted(variables.items()))
    _check_unique(hosts)
    if len([host for host in hosts if host.cluster]) > 1:
        raise LabError("lab_cluster: expected on one host of the lab")
    return Lab(name, tuple(networks.values()), hosts)


def _hostvars(inventory: Mapping[str, object]) -> dict[str, dict[str, object]]:
    meta = inventory.get("_meta")
    hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
    if not isinstance(hostvars, dict):
        raise LabError("no _meta.hostvars in what ansible-inventory answered")
    return {str(host): values for host, values in hostvars.items() if isinstance(values, dict)}


def _networks(variables: Mapping[str, Mapping[str, object]]) -> dict[str, Network]:
    networks: dict[str, Network] = {}
    for host, values in variables.items():
        for name, entry in _mapping(host, "lab_networks", values.get("lab_networks")).items():
            where = f"lab_networks.{name}"
            fields = _mapping(host, where, entry)
            subnets = _texts(host, where, fields.get("subnets"))
            gateways = _texts(host, where, fields.get("gateways"))
            network = Network(
                name,
                tuple(_subnet(host, where, text) for text in subnets),
                tuple(_address(host, where, text) for text in gateways),
            )
            if len(subnets) != len(gateways):
                raise LabError(f"{host}: {where}: expected one gateway for each subnet")
            if networks.setdefault(name, network) != network:
                raise LabError(f"{host}: {where} differs from what another host says")
    return dict(sorted(networks.items()))


def _host(name: str, values: Mapping[str, object], networks: Mapping[str, Network]) -> Host:
    interfaces = []
    for network, texts in sorted(_mapping(name, "lab_addresses", values["lab_addresses"]).items()):
        where = f"lab_addresses.{network}"
        if network not in networks:
            raise LabError(f"{name}: {where}: no such network in lab_networks: {sorted(networks)}")
        addresses = tuple(_address(name, where, text) for text in _texts(name, where, texts))
        for address in addresses:
            if not any(address in subnet for subnet in networks[network].subnets):
                raise LabError(f"{name}: {where}: {address} is in none of the network's subnets")
        interfaces.append(Interface(network, addresses))
    workload = str(values.get("lab_workload", "none"))
    if workload not in WORKLOADS:
        raise LabError(f"{name}: lab_workload: expected one of {WORKLOADS}, found {workload!r}")
    environment = _mapping(name, "lab_environment", values.get("lab_environment", {}))
    return Host(
        name,
        tuple(interfaces),
        workload,
        tuple(sorted((key, str(value)) for key, value in environment.items())),
        _address(name, "lab_dns", str(values.get("lab_dns"))),
        _cluster(name, values["lab_cluster"], networks) if "lab_cluster" in values else None,
    )


def _cluster(host: str, value: object, networks: Mapping[str, Network]) -> Cluster:
    fields = _mapping(host, "lab_cluster", value)
    for field in ("id", "network", "namespaces"):
        if field not in fields:
            raise LabError(f"{host}: lab_cluster.{field}: not given")
    network = str(fields["network"])
    if network not in networks:
        raise LabError(f"{host}: lab_cluster.network: no such network: {network}")
    namespaces = fields["namespaces"]
    if not isinstance(namespaces, list):
        raise LabError(f"{host}: lab_cluster.namespaces: expected a list, found {namespaces!r}")
    environment = _mapping(host, "lab_cluster.environment", fields.get("environment", {}))
    return Cluster(
        str(fields["id"]),
        network,
        tuple(str(entry) for entry in namespaces),
        tuple(sorted((key, str(entry)) for key, entry in environment.items())),
    )


def _check_unique(hosts: tuple[Host, ...]) -> None:
    owners: dict[Address, str] = {}
    for host in hosts:
        for address in host.addresses:
            owner = owners.setdefault(address, host.name)
            if owner != host.name:
                raise LabError(f"{host.name}: {address} is the address of {owner} as well")
    for host in hosts:
        if host.nameserver not in owners:
            raise LabError(f"{host.name}: lab_dns: {host.nameserver} is no host's address")


def _mapping(host: str, where: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise LabError(f"{host}: {where}: expected a mapping, found {value!r}")
    return {str(key): entry for key, entry in value.items()}


def _texts(host: str, where: str, value: object) -> list[str]:
    if not isinstance(value, list) or not value:
        raise LabError(f"{host}: {where}: expected a list of addresses, found {value!r}")
    return [str(entry) for entry in value]


def _address(host: str, where: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise LabError(f"{host}: {where}: expected an IP address, found {text!r}") from error


def _subnet(host: str, where: str, text: str) -> Subnet:
    try:
        return ip_network(text)
    except ValueError as error:
        raise LabError(f"{host}: {where}: expected a subnet, found {text!r}: {error}") from error
