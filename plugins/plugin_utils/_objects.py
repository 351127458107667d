# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Istio's objects that follow from the inventory: workload groups, and what gateways need."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.plugin_utils._topology import (
    PASSTHROUGH_PORT,
    ROOT_NAMESPACE,
    XDS_PORT,
    Member,
    TopologyError,
    required_address,
)

Object = dict[str, t.Any]

_NETWORKING = "networking.istio.io/v1"
_GATEWAY_SELECTOR = {"istio": "eastwestgateway"}
_CONTROL_PLANE_HOST = "istiod.istio-system.svc.cluster.local"
_CONTROL_PLANE_SNI = "istiod.istio-system.svc"


def workload_groups(members: t.Iterable[Member]) -> list[Object]:
    """One WorkloadGroup for each namespace and group that the members name, sorted.

    Raises TopologyError, naming two hosts, where members of a group disagree on what a group has
    once: the service account, the trust domain, a port's number, the probe.
    """
    groups: dict[tuple[str, str], list[Member]] = {}
    for host in members:
        if host.group is not None:
            groups.setdefault((host.namespace, host.group), []).append(host)
    return [_workload_group(hosts) for _key, hosts in sorted(groups.items())]


def _workload_group(hosts: list[Member]) -> Object:
    first = hosts[0]
    for attribute in ("service_account", "trust_domain", "probe"):
        _agree(hosts, f"mesh_{attribute}", lambda host, a=attribute: getattr(host, a))
    ports: dict[str, int] = {}
    for host in hosts:
        for port in host.ports:
            _agree(
                [h for h in hosts if _port(h, port["name"]) is not None],
                f"the port {port['name']} in mesh_ports",
                lambda h, name=port["name"]: _port(h, name),
            )
            ports[port["name"]] = port["port"]
    template: Object = {"serviceAccount": first.service_account}
    networks = {host.network for host in hosts}
    if len(networks) == 1:
        # A group on several networks has none of its own: each host says its network itself.
        template["network"] = networks.pop()
    if ports:
        template["ports"] = ports
    spec: Object = {"metadata": {"labels": _common_labels(hosts)}, "template": template}
    if first.probe:
        spec["probe"] = first.probe
    return make(_NETWORKING, "WorkloadGroup", str(first.group), first.namespace, spec)


def _agree(hosts: list[Member], what: str, value: t.Callable[[Member], t.Any]) -> None:
    for host in hosts[1:]:
        if value(host) != value(hosts[0]):
            raise TopologyError(
                f"workload group {host.namespace}/{host.group}: its hosts disagree on {what}: "
                f"{hosts[0].name} has {value(hosts[0])!r}, {host.name} has {value(host)!r}"
            )


def _port(host: Member, name: str) -> int | None:
    return next((p["port"] for p in host.ports if p["name"] == name), None)


def _common_labels(hosts: list[Member]) -> dict[str, str]:
    """Labels that every host of the group carries; a host adds its own when it registers."""
    return {
        key: value
        for key, value in sorted(hosts[0].labels.items())
        if all(host.labels.get(key) == value for host in hosts)
    }


def gateway_objects(
    gateways: t.Iterable[Member],
    control_planes: t.Iterable[Member],
    mesh_config: t.Mapping[str, t.Any],
    to_yaml: t.Callable[[t.Any], str],
) -> list[Object]:
    """What makes the gateways work; nothing without gateways.

    The mesh's networks (ConfigMap ``istio``), the passthrough of calls between networks, and the
    control plane for hosts of the networks that it is not on.
    """
    gateways = list(gateways)
    if not gateways:
        return []
    settings = {"meshNetworks": to_yaml({"networks": mesh_networks(gateways)})}
    if mesh_config:
        settings["mesh"] = to_yaml(dict(mesh_config))
    objects = [make("v1", "ConfigMap", "istio", ROOT_NAMESPACE, data=settings)]
    objects.append(
        _gateway("cross-network-gateway", PASSTHROUGH_PORT, "AUTO_PASSTHROUGH", "*.local")
    )
    return objects + _control_plane_exposure(control_planes)


def mesh_networks(gateways: t.Iterable[Member]) -> Object:
    """MeshNetworks.networks: each network with the addresses at which the others reach it.

    A gateway with a public address is reached there. One without stands on two networks, and each
    is reached from the other one.
    """
    networks: Object = {}
    for gateway in gateways:
        for network in gateway.legs:
            address = reached_at(gateway, network)
            entry = networks.setdefault(network, {"endpoints": [], "gateways": []})
            entry["gateways"].append({"address": address, "port": PASSTHROUGH_PORT})
    return networks


def reached_at(gateway: Member, network: str) -> str:
    """Where hosts of other networks reach a network through the gateway."""
    if gateway.public_address:
        return gateway.public_address
    others = [address for name, address in gateway.legs.items() if name != network]
    if len(others) != 1:
        raise TopologyError(
            f"{gateway.name}: mesh_gateway_addresses: expected an address on two networks, found "
            f"{len(gateway.legs)}: {', '.join(gateway.legs) or 'none'}. A gateway on one network, "
            "or on three, needs mesh_gateway_public_address, where the others reach it"
        )
    return others[0]


def _control_plane_exposure(control_planes: t.Iterable[Member]) -> list[Object]:
    """The control plane's port through the gateways, TLS untouched, as Istio's expose-istiod does.

    Its entries name no service account: TLS ends at the control plane itself, not at an Envoy.
    """
    route = {"destination": {"host": _CONTROL_PLANE_HOST, "port": {"number": XDS_PORT}}}
    match = {"port": XDS_PORT, "sniHosts": [_CONTROL_PLANE_SNI]}
    virtual_service = {
        "hosts": [_CONTROL_PLANE_SNI],
        "gateways": ["istiod-gateway"],
        "tls": [{"match": [match], "route": [route]}],
    }
    port = {"name": "tls-xds", "port": XDS_PORT, "protocol": "TCP"}
    service = {"selector": {"app": "istiod"}, "ports": [port]}
    return [
        _gateway("istiod-gateway", XDS_PORT, "PASSTHROUGH", _CONTROL_PLANE_SNI),
        make(_NETWORKING, "VirtualService", "istiod-vs", ROOT_NAMESPACE, virtual_service),
        make("v1", "Service", "istiod", ROOT_NAMESPACE, service),
        *(_control_plane_entry(host) for host in control_planes),
    ]


def _control_plane_entry(host: Member) -> Object:
    spec = {
        "address": required_address(host),
        "labels": {"app": "istiod"},
        "network": host.network,
    }
    return make(_NETWORKING, "WorkloadEntry", f"istiod-{host.name}", ROOT_NAMESPACE, spec)


def _gateway(name: str, port: int, mode: str, host: str) -> Object:
    return tls_gateway((name, ROOT_NAMESPACE), _GATEWAY_SELECTOR, port, mode, host)


def tls_gateway(
    key: tuple[str, str], selector: dict[str, str], port: int, mode: str, host: str
) -> Object:
    """A Gateway, ``key`` its name and namespace, that passes TLS on by the name asked for."""
    server = {
        "port": {"number": port, "name": f"tls-{port}", "protocol": "TLS"},
        "tls": {"mode": mode},
        "hosts": [host],
    }
    spec = {"selector": dict(selector), "servers": [server]}
    return make(_NETWORKING, "Gateway", *key, spec)


def make(
    version: str, kind: str, name: str, namespace: str, spec: Object | None = None, **top: t.Any
) -> Object:
    """An object; ``top`` are fields beside ``spec``."""
    found: Object = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        **top,
    }
    if spec is not None:
        found["spec"] = spec
    return found
