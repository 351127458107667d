# SPDX-License-Identifier: Apache-2.0
"""The whole as one immutable value, with a version that follows from the content. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping

from mesh_control.model import Document, MeshSnapshot, Service
from mesh_control.registry.members import Member
from mesh_control.registry.mesh_config import MeshSettings

# Where a document stands and how many are before it is no content; its place among them is.
_NO_CONTENT = frozenset({"where", "created"})


def make_snapshot(
    trust_domain: str,
    documents: Iterable[Document],
    services: Mapping[str, Service],
    members: Iterable[Member],
    settings: MeshSettings,
) -> MeshSnapshot:
    """Put the parts together; documents keep the order of their age."""
    by_kind: dict[str, list[Document]] = {}
    for document in sorted(documents, key=lambda d: d.created):
        by_kind.setdefault(document.kind, []).append(document)
    snapshot = MeshSnapshot(
        trust_domain=trust_domain,
        version="",
        root_namespace=settings.root_namespace,
        services=services,
        workloads={m.key: m.workload for m in sorted(members, key=lambda m: m.key)},
        network_gateways=settings.gateways,
        virtual_services=tuple(by_kind.get("VirtualService", ())),
        destination_rules=tuple(by_kind.get("DestinationRule", ())),
        gateways=tuple(by_kind.get("Gateway", ())),
        peer_authentications=tuple(by_kind.get("PeerAuthentication", ())),
        authorization_policies=tuple(by_kind.get("AuthorizationPolicy", ())),
        mesh_config=settings.config,
    )
    return dataclasses.replace(snapshot, version=_version(snapshot))


def _version(snapshot: MeshSnapshot) -> str:
    text = json.dumps(snapshot, default=_plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return {
            field.name: getattr(value, field.name)
            for field in dataclasses.fields(value)
            if field.name not in _NO_CONTENT
        }
    raise TypeError(f"{type(value)} in a snapshot")
