# SPDX-License-Identifier: Apache-2.0
"""Istio's node (id and metadata) -> `Proxy`. Pure."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any

from mesh_control.model import Labels, Proxy
from mesh_control.registry.errors import NodeError

_KINDS = ("sidecar", "router")
_FORM = "TYPE~IP~NAME.NAMESPACE~DOMAIN"
_LOCALITY_LABELS = ("topology.istio.io/locality", "istio-locality")


def proxy_from_node(node_id: str, metadata: Mapping[str, object]) -> Proxy:
    """Read a node as istiod does; metadata has the precedence over the id.

    Args:
        node_id: ``sidecar~10.0.0.1~api-1.shop~shop.svc.cluster.local``.
        metadata: the node's metadata as plain data: INSTANCE_IPS, NAME, NAMESPACE,
            SERVICE_ACCOUNT, LABELS, NETWORK, REQUESTED_NETWORK_VIEW and whatever else.

    Raises:
        NodeError: says what was found and what was expected.
    """
    parts = node_id.split("~")
    if len(parts) != 4:
        raise NodeError(f"node id: expected {_FORM}, found {node_id!r}")
    kind, address, full_name, domain = parts
    if kind not in _KINDS:
        raise NodeError(f"node id: expected type {' or '.join(_KINDS)}, found {kind!r}")
    name, dot, namespace = full_name.rpartition(".")
    if not dot:
        name, namespace = full_name, ""
    namespace = _string(metadata, "NAMESPACE") or namespace
    if not namespace:
        raise NodeError(f"node id: expected NAME.NAMESPACE, found {full_name!r}")
    return Proxy(
        id=node_id,
        kind=kind,
        addresses=_addresses(_strings(metadata, "INSTANCE_IPS") or (address,)),
        name=_string(metadata, "NAME") or name,
        namespace=namespace,
        service_account=_string(metadata, "SERVICE_ACCOUNT"),
        labels={**_labels(metadata, "STATIC_LABELS"), **_labels(metadata, "LABELS")},
        network=_string(metadata, "NETWORK"),
        network_view=_strings(metadata, "REQUESTED_NETWORK_VIEW"),
        domain=domain,
        metadata=dict(metadata),
    )


def group_of(proxy: Proxy) -> str:
    """Return the WorkloadGroup that the proxy asks to be registered against, or ``""``."""
    return _string(proxy.metadata, "AUTO_REGISTER_GROUP")


def has_probe(proxy: Proxy) -> bool:
    """Whether the proxy says that it probes its application (PROXY_CONFIG.readinessProbe)."""
    config = proxy.metadata.get("PROXY_CONFIG")
    return isinstance(config, Mapping) and bool(config.get("readinessProbe"))


def locality_of(proxy: Proxy) -> str:
    """Return ``region/zone/subzone`` from the labels, or ``""``; dots stand for slashes."""
    found = [proxy.labels[label] for label in _LOCALITY_LABELS if proxy.labels.get(label)]
    if not found:
        return ""
    return found[0] if "/" in found[0] else found[0].replace(".", "/")


def named_ports(proxy: Proxy) -> Mapping[str, int]:
    """Return the application's ports by name from POD_PORTS (JSON in a string, or a list)."""
    ports: Any = proxy.metadata.get("POD_PORTS", [])
    if isinstance(ports, str):
        try:
            ports = json.loads(ports) if ports else []
        except json.JSONDecodeError as error:
            raise NodeError(f"metadata POD_PORTS: expected JSON: {error}") from error
    result = {}
    for port in ports if isinstance(ports, list) else [ports]:
        number = port.get("containerPort") if isinstance(port, Mapping) else None
        # Numbers are floats in protobuf's Struct.
        if not isinstance(number, (int, float)) or not 1 <= number <= 65535:
            raise NodeError(
                f"metadata POD_PORTS: expected [{{name, containerPort, protocol}}], found {port!r}"
            )
        if port.get("name"):
            result[str(port["name"])] = int(number)
    return result


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return valid addresses in their shortest form; istiod drops the others too."""
    addresses = []
    for text in texts:
        try:
            address = str(ipaddress.ip_address(text))
        except ValueError:
            continue
        if address not in addresses:
            addresses.append(address)
    if not addresses:
        raise NodeError(
            "metadata INSTANCE_IPS: expected at least one IP address there or in the node id, "
            f"found {', '.join(texts)!r}"
        )
    return tuple(addresses)


def _string(metadata: Mapping[str, object], key: str) -> str:
    value = metadata.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NodeError(f"metadata {key}: expected a string, found {value!r}")
    return value


def _strings(metadata: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Return a comma-joined string, or a list, as a tuple without empty items."""
    value = metadata.get(key)
    if value is None:
        return ()
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise NodeError(f"metadata {key}: expected comma-separated strings, found {value!r}")
    return tuple(stripped for item in items if (stripped := item.strip()))


def _labels(metadata: Mapping[str, object], key: str) -> Labels:
    value = metadata.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise NodeError(f"metadata {key}: expected a mapping of strings, found {value!r}")
    return {str(name): str(text) for name, text in value.items()}
