# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The inventory's ``mesh_*`` variables of a host, with every default filled in, as one value.

The only place that knows these defaults: the roles of a host and the objects made from all hosts
read the same `Member`.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field

from ansible_collections.hybrid.mesh.plugins.module_utils._endpoint import join

CONTROL_PLANE_GROUP = "mesh_control_plane"
GATEWAY_GROUP = "mesh_gateways"
ROOT_NAMESPACE = "istio-system"
XDS_PORT = 15012
PASSTHROUGH_PORT = 15443
PROFILES = ("vm", "node")
# On a Kubernetes node these are the cluster's own: of its programs, and of kube-proxy.
CLUSTER_PORTS = (2379, 2380, 6443, 10250, 10255, 10256, 10257, 10259)
NODE_PORTS = range(30000, 32768)
# What our gateways carry, and no gateway that a cluster has of its own.
GATEWAY_LABEL = "hybrid.mesh/gateway"

# Bridges and virtual links of container and VM hosts: never where peers reach the host.
_LOCAL_INTERFACES = ("lo", "docker", "br-", "virbr", "veth", "cni", "podman", "cali", "flannel")


class TopologyError(Exception):
    """The inventory does not describe a mesh; the text names host and variable."""


@dataclass(frozen=True)
class Member:
    """One host of the mesh. ``address`` is None while neither the inventory nor facts give one."""

    name: str
    profile: str  # "vm" | "node" | "gateway"
    control_plane: bool
    trust_domain: str
    mesh_id: str
    cluster_id: str
    network: str
    address: str | None
    addresses: list[str]  # address first, then the extra ones
    candidates: list[str]  # what the address could be, where the inventory does not say
    namespace: str
    service_account: str
    group: str | None  # None: not registered
    labels: dict[str, str]
    ports: list[dict[str, t.Any]]
    probe: dict[str, t.Any]  # Istio's ReadinessProbe, empty without one
    legs: dict[str, str] = field(default_factory=dict)  # gateway: network -> its address there
    public_address: str | None = None  # gateway: where every other network reaches it
    # Where a control plane that is no host of the inventory is, and on which network: HOST:PORT.
    outside_addresses: list[str] = field(default_factory=list)
    outside_network: str | None = None  # None: reached from every network


def member(variables: t.Mapping[str, t.Any]) -> Member:
    """The member that a host's variables describe. Raises TopologyError naming the variable."""
    name = str(variables["inventory_hostname"])
    groups = variables.get("group_names") or []
    gateway = GATEWAY_GROUP in groups
    group = _group(name, variables, gateway)
    profile = _profile(name, variables, gateway)
    candidates = _candidates(variables.get("ansible_facts") or {})
    address = _address(name, "mesh_address", variables.get("mesh_address"))
    if address is None and len(candidates) == 1:
        address = candidates[0]
    extra = _list(name, variables, "mesh_extra_addresses")
    legs = _mapping(name, variables, "mesh_gateway_addresses") if gateway else {}
    mesh_id = str(variables.get("mesh_id") or "mesh1")
    network = str(variables.get("mesh_network") or next(iter(legs), "network-1"))
    account = variables.get("mesh_service_account") or group or "istio-eastwestgateway"
    return Member(
        name=name,
        profile=profile,
        control_plane=CONTROL_PLANE_GROUP in groups,
        trust_domain=str(variables.get("mesh_trust_domain") or "cluster.local"),
        mesh_id=mesh_id,
        cluster_id=str(variables.get("mesh_cluster_id") or mesh_id),
        network=network,
        address=address,
        addresses=[str(a) for a in ([address] if address else []) + extra],
        candidates=candidates,
        namespace=str(
            variables.get("mesh_namespace") or (ROOT_NAMESPACE if gateway else "default")
        ),
        service_account=str(account),
        group=group,
        labels=_labels(name, variables, group, gateway),
        ports=_ports(name, variables, profile),
        probe=_mapping(name, variables, "mesh_probe"),
        legs={str(n): str(_address(name, "mesh_gateway_addresses", a)) for n, a in legs.items()},
        public_address=_address(
            name, "mesh_gateway_public_address", variables.get("mesh_gateway_public_address")
        ),
        outside_addresses=_endpoints(name, variables, "mesh_control_plane_addresses"),
        outside_network=variables.get("mesh_control_plane_network") or None,
    )


def control_plane_addresses(
    me: Member,
    control_planes: t.Iterable[Member],
    gateways: t.Iterable[Member],
    found: t.Sequence[str] = (),
) -> list[str]:
    """Where a host reaches the control plane, ``HOST:PORT`` each, the preferred one first.

    On its own network: the control plane itself. Elsewhere: gateways that stand on the control
    plane's network, by the leg that they have on the host's network or by their public address.
    Of a control plane that is no host of the inventory, the inventory gives the addresses, or else
    they are ``found``.
    """
    control_planes = list(control_planes)
    outside = me.outside_addresses or list(found)
    if outside:
        if me.outside_network in (None, me.network):
            return outside
        theirs = {me.outside_network}
        gateways = [gateway for gateway in gateways if gateway.network == me.outside_network]
    else:
        direct = [c for c in control_planes if c.network == me.network]
        if direct:
            return [join(required_address(c), XDS_PORT) for c in direct]
        theirs = {c.network for c in control_planes}
    found = []
    for gateway in gateways:
        if gateway.name != me.name and theirs & set(gateway.legs):
            found.append(gateway.legs.get(me.network) or gateway.public_address)
    return [join(address, XDS_PORT) for address in found if address]


def entry_name(me: Member) -> str | None:
    """The name of the WorkloadEntry that istiod makes of the host when it registers."""
    if me.group is None or me.address is None:
        return None
    parts = (me.group, me.address.replace(":", "-"), me.network)
    return "-".join(filter(None, parts))[-253:]


def required_address(who: Member) -> str:
    """The member's address. Raises TopologyError when nothing says which one it is."""
    if who.address is None:
        seen = ", ".join(who.candidates) or "none"
        raise TopologyError(
            f"{who.name}: mesh_address is not set and its facts do not decide it "
            f"(addresses seen: {seen}): set mesh_address for the host"
        )
    return who.address


def _group(name: str, variables: t.Mapping[str, t.Any], gateway: bool) -> str | None:
    if gateway:
        return None
    group = variables.get("mesh_workload_group")
    if not group and "mesh_workloads" in (variables.get("group_names") or []):
        raise TopologyError(
            f"{name}: mesh_workload_group is not set: every host of the group mesh_workloads "
            "belongs to a workload group (hosts that answer for the same service share one)"
        )
    return str(group) if group else None


def _profile(name: str, variables: t.Mapping[str, t.Any], gateway: bool) -> str:
    found = variables.get("mesh_profile")
    if gateway:
        if found:
            raise TopologyError(
                f"{name}: mesh_profile: expected none for a host of the group {GATEWAY_GROUP}, "
                f"which is a gateway, found {found!r}"
            )
        return "gateway"
    if found and found not in PROFILES:
        raise TopologyError(
            f"{name}: mesh_profile: expected one of {', '.join(PROFILES)}, found {found!r}"
        )
    return str(found or PROFILES[0])


def _labels(
    name: str, variables: t.Mapping[str, t.Any], group: str | None, gateway: bool
) -> dict[str, str]:
    labels = {"app": group} if group else {}
    if gateway:
        labels = {"app": "istio-eastwestgateway", "istio": "eastwestgateway"}
        labels[GATEWAY_LABEL] = "east-west"
    labels.update(_mapping(name, variables, "mesh_labels"))
    return {str(key): str(value) for key, value in labels.items()}


def _ports(name: str, variables: t.Mapping[str, t.Any], profile: str) -> list[dict[str, t.Any]]:
    ports: list[dict[str, t.Any]] = []
    for index, entry in enumerate(_list(name, variables, "mesh_ports")):
        where = f"{name}: mesh_ports[{index}]"
        if not isinstance(entry, dict) or not {"name", "port"} <= set(entry):
            raise TopologyError(f"{where}: expected a mapping with name and port, found {entry!r}")
        unknown = set(entry) - {"name", "port", "protocol"}
        if unknown:
            raise TopologyError(f"{where}: unknown key {sorted(unknown)[0]!r}")
        number = str(entry["port"])
        if not number.isdigit() or not 0 < int(number) < 65536:
            raise TopologyError(f"{where}.port: expected 1 to 65535, found {entry['port']!r}")
        if profile == "node" and (int(number) in CLUSTER_PORTS or int(number) in NODE_PORTS):
            raise TopologyError(
                f"{where}.port: expected a port of the node's own workload, found {number}, which "
                "is Kubernetes' on a host with mesh_profile: node"
            )
        protocol = str(entry.get("protocol", "TCP"))
        port = {"name": str(entry["name"]), "port": int(number), "protocol": protocol}
        if any(port["name"] == other["name"] for other in ports):
            raise TopologyError(
                f"{where}.name: expected each name once, found {port['name']!r} twice"
            )
        ports.append(port)
    return ports


def _candidates(facts: t.Mapping[str, t.Any]) -> list[str]:
    """IPv4 addresses of the host's own interfaces, from its facts."""
    found = []
    for interface in sorted(facts.get("interfaces") or []):
        if not str(interface).startswith(_LOCAL_INTERFACES):
            key = str(interface).replace("-", "_").replace(".", "_").replace(":", "_")
            ipv4 = (facts.get(key) or {}).get("ipv4") or {}
            if ipv4.get("address"):
                found.append(str(ipv4["address"]))
    return list(dict.fromkeys(found))


def _address(name: str, variable: str, value: t.Any) -> str | None:
    if value is None:
        return None
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise TopologyError(
            f"{name}: {variable}: expected an IP address, found {value!r}"
        ) from None


def _endpoints(name: str, variables: t.Mapping[str, t.Any], variable: str) -> list[str]:
    found = [str(entry) for entry in _list(name, variables, variable)]
    for index, text in enumerate(found):
        host, separator, port = text.rpartition(":")
        if not (separator and host and port.isdigit()):
            raise TopologyError(f"{name}: {variable}[{index}]: expected HOST:PORT, found {text!r}")
    return found


def _list(name: str, variables: t.Mapping[str, t.Any], variable: str) -> list[t.Any]:
    value = variables.get(variable) or []
    if not isinstance(value, list):
        raise TopologyError(f"{name}: {variable}: expected a list, found {value!r}")
    return [_plain(entry) for entry in value]


def _mapping(name: str, variables: t.Mapping[str, t.Any], variable: str) -> dict[str, t.Any]:
    value = variables.get(variable) or {}
    if not isinstance(value, dict):
        raise TopologyError(f"{name}: {variable}: expected a mapping, found {value!r}")
    return {str(key): _plain(entry) for key, entry in value.items()}


def _plain(value: t.Any) -> t.Any:
    """A copy in ordinary lists and dictionaries: Ansible's own template their items when read."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value
