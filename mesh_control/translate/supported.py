# SPDX-License-Identifier: Apache-2.0
"""What of each kind is translated, and whether a document's values can be.

`SUPPORTED` is made from the dataclasses that the translation reads, so it cannot promise more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mesh_control.model import Document
from mesh_control.translate.api.destination_rule import DestinationRule
from mesh_control.translate.api.gateway import Gateway
from mesh_control.translate.api.mesh_config import MeshConfig
from mesh_control.translate.api.reader import paths, read
from mesh_control.translate.api.security import AuthorizationPolicy, PeerAuthentication
from mesh_control.translate.api.virtual_service import VirtualService
from mesh_core.errors import ConfigError

_KINDS: Final[Mapping[str, type[Any]]] = {
    "VirtualService": VirtualService,
    "DestinationRule": DestinationRule,
    "Gateway": Gateway,
    "PeerAuthentication": PeerAuthentication,
    "AuthorizationPolicy": AuthorizationPolicy,
    "MeshConfig": MeshConfig,
}

SUPPORTED: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(paths(cls)) for kind, cls in _KINDS.items()
}
"""Kind -> paths below ``spec`` (of MeshConfig: below ``mesh``) down to scalars.

``a.b``; ``hosts[]`` for each item of a list; ``labels.*`` for any one key of a map, also within a
path: ``http[].match[].headers.*.exact``; ``tls.mode=DISABLE`` where some values are understood.
"""


def problems(document: Document) -> list[str]:
    """Return what the translation cannot take of a document's values; empty when all is well.

    Each problem is one line, ``WHERE: PATH: what was expected and what was found``. A document
    with problems must not get into a `MeshSnapshot`: `translate` would refuse the whole of it.
    """
    cls = _KINDS.get(document.kind)
    if cls is None:
        return []
    try:
        read(cls, document.spec, place(document))
    except ConfigError as error:
        return [str(error)]
    return []


def place(document: Document) -> str:
    """Return how messages name the part of a document that is read."""
    return f"{document.where}: {'data.mesh' if document.kind == 'MeshConfig' else 'spec'}"
