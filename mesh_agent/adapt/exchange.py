# SPDX-License-Identifier: Apache-2.0
"""Metadata exchange over HTTP with Envoy's own filters. Pure.

Each side of a call inside the mesh tells the other which workload it is: in the header
``x-envoy-peer-metadata`` a google.protobuf.Struct, serialized, in base64; in
``x-envoy-peer-metadata-id`` its node id, by which the receiver may remember the first. The caller
sends both, who is called answers both if it got the first, and no application sees either. What a
peer says is good for labels of metrics only.

After Istio's filter (envoyproxy/envoy, ``contrib/istio/filters/http/peer_metadata``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Abilities, Workload, wrapped
from mesh_agent.adapt.program import program
from mesh_agent.adapt.views import HeaderMutationFilter, LuaFilter, Packed, TypedStruct

HEADERS: Final = (words.PEER_ID_HEADER, words.PEER_HEADER)
CALLER: Final = f"%DYNAMIC_METADATA({words.METADATA}:peer)%"
"""The caller as istiod describes an endpoint, with its labels app and version behind; "-" if it did
not say."""

_CANONICAL: Final = ("service.istio.io/canonical-name", "service.istio.io/canonical-revision")
_OUTWARDS: Final = frozenset({"upstream_discovery", "upstream_propagation"})
_IN_MESH: Final = f"xds.cluster_metadata.filter_metadata['{words.METADATA}'].exchange"
_OVERWRITE: Final = 2
_NOT_IN_AN_ID: Final = re.compile(r"[^\w.~:@/-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What istiod wants of its filter at one place: ``methods`` by their names there."""

    methods: frozenset[str]
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Any) -> Wanted:
        """Read the configuration of Istio's filter, a message or a TypedStruct as istiod sends it.

        The message itself is not read: then nothing is wanted, and nothing exchanged.
        """
        if not wrapped(config):
            return cls(frozenset())
        value = TypedStruct.FromString(config.value).value.fields
        found = frozenset(
            name
            for name in value
            if any(
                "istio_headers" in method.struct_value.fields
                for method in value[name].list_value.values
            )
        )
        labels = (
            value["additional_labels"].list_value.values if "additional_labels" in value else ()
        )
        return cls(found, tuple(label.string_value for label in labels))

    @property
    def callers(self) -> bool:
        """Whether callers are to be asked who they are."""
        return "downstream_discovery" in self.methods


def stand_in(workload: Workload, abilities: Abilities, wanted: Wanted) -> Any | None:
    """Return the configuration of the filter that stands in for Istio's; None if there is none."""
    packed = Packed()
    if wanted.callers and abilities.has(words.LUA):
        words.fill(packed, words.LUA, _inbound(workload, wanted))
        return packed
    if wanted.methods & _OUTWARDS and abilities.has(words.HEADER_MUTATION):
        words.fill(packed, words.HEADER_MUTATION, _outbound(workload, wanted))
        return packed
    return None


def _inbound(workload: Workload, wanted: Wanted) -> Any:
    """Return the Lua filter that takes the caller's metadata and answers with this host's."""
    told = "downstream_propagation" in wanted.methods
    answer = _own(workload, wanted.labels) if told else ()
    found = LuaFilter()
    found.default_source_code.inline_string = program(answer)
    found.clear_route_cache.SetInParent()  # false: no route depends on these headers
    return found


def _outbound(workload: Workload, wanted: Wanted) -> Any:
    """Return the filter that tells mesh clusters who calls, and hides their answer."""
    found = HeaderMutationFilter()
    for name in HEADERS:
        found.mutations.request_mutations.add(remove=name)
        found.mutations.response_mutations.add(remove=name)
    if "upstream_propagation" in wanted.methods:
        for name, value in _own(workload, wanted.labels):
            told = found.mutations.request_mutations.add().append
            told.append_action = _OVERWRITE
            told.header.key = name
            told.header.value = f"%CEL({_IN_MESH} ? '{value}' : '')%"
    return found


def _own(workload: Workload, additional: Iterable[str]) -> Iterable[tuple[str, str]]:
    named = (workload.canonical_service, workload.canonical_revision)
    labels = {
        **{name: workload.labels[name] for name in additional if name in workload.labels},
        **dict(zip(_CANONICAL, named, strict=True)),
        "app": workload.app,
        "version": workload.version,
    }
    metadata = Struct()
    metadata.update(
        {
            "NAME": workload.instance,
            "NAMESPACE": workload.namespace,
            "WORKLOAD_NAME": workload.name,
            "CLUSTER_ID": workload.cluster,
            "LABELS": {name: value for name, value in labels.items() if value},
        }
    )
    text = base64.b64encode(metadata.SerializeToString(deterministic=True)).decode()
    return zip(HEADERS, (_NOT_IN_AN_ID.sub("_", workload.node_id), text), strict=True)
