# SPDX-License-Identifier: Apache-2.0
"""What an Envoy says of itself and of its host in the node of its first request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mesh_agent.adapt.views import TypedStruct

HAS_IPV6: Final = "HYBRID_MESH_HAS_IPV6"
"""In a node's metadata: the kernel has IPv6, with addresses or without any yet. So calls over it
may be captured now or later."""

_TYPED_STRUCTS: Final = frozenset({"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"})


def wrapped(config: Any) -> bool:
    """Whether an Any holds a TypedStruct."""
    return str(config.type_url).rpartition("/")[2] in _TYPED_STRUCTS


def type_of(config: Any) -> str:
    """Return the message type of an Any, also of one in a TypedStruct, without its prefix."""
    url = TypedStruct.FromString(config.value).type_url if wrapped(config) else config.type_url
    return str(url).rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Abilities:
    """Extensions of an Envoy: their ``names``, and the ``types`` of their configuration."""

    names: frozenset[str]
    types: frozenset[str]

    @classmethod
    def of(cls, node: Any) -> Abilities:
        """Read an envoy.config.core.v3.Node."""
        enabled = [extension for extension in node.extensions if not extension.disabled]
        return cls(
            frozenset(extension.name for extension in enabled),
            frozenset(kind for extension in enabled for kind in extension.type_urls),
        )

    def has(self, kind: str, name: str = "") -> bool:
        """Whether an extension for this type of configuration, or of this name, is there."""
        return kind in self.types or name in self.names


@dataclass(frozen=True, slots=True)
class Workload:
    """The host in the words of Istio's metrics; empty where it is not known.

    ``name`` is what its instances have in common, ``instance`` its own.
    """

    kind: Literal["sidecar", "router"] = "sidecar"
    name: str = ""
    namespace: str = ""
    canonical_service: str = ""
    canonical_revision: str = ""
    app: str = ""
    version: str = ""
    cluster: str = ""
    instance: str = ""
    node_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    has_ipv6: bool = False

    @classmethod
    def of(cls, node: Any) -> Workload:
        """Read an envoy.config.core.v3.Node with Istio's metadata."""
        fields = node.metadata.fields
        labels = fields["LABELS"].struct_value.fields if "LABELS" in fields else {}

        def text(values: Any, key: str) -> str:
            return str(values[key].string_value) if key in values else ""

        return cls(
            kind="router" if node.id.startswith("router~") else "sidecar",
            name=text(fields, "WORKLOAD_NAME"),
            namespace=text(fields, "NAMESPACE"),
            canonical_service=text(labels, "service.istio.io/canonical-name"),
            canonical_revision=text(labels, "service.istio.io/canonical-revision"),
            app=text(labels, "app"),
            version=text(labels, "version"),
            cluster=text(fields, "CLUSTER_ID"),
            instance=text(fields, "NAME"),
            node_id=str(node.id),
            labels={name: text(labels, name) for name in labels},
            has_ipv6=HAS_IPV6 in fields,
        )
