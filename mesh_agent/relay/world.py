# SPDX-License-Identifier: Apache-2.0
"""A delta stream spoken to a control plane that only knows the state of the world. Pure.

Envoy and the relay go on in delta. Requests become such with all names, responses become such with
what changed and what is gone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from mesh_agent.adapt.views import Named
from mesh_core.wire import discovery, types

# A response has all of these. Only of them an unchanged one may be left out: Envoy waits for the
# endpoints of a changed cluster and for the routes of a changed listener.
_WHOLE: Final = frozenset({types.CLUSTER, types.LISTENER})
_NAMED: Final = _WHOLE | {types.ENDPOINT, types.ROUTE, types.SECRET, types.EXTENSION_CONFIG}
_ANY_NAME: Final = "*"


@dataclass(slots=True)
class _Kind:
    """One resource type: ``known`` has the digest of each resource, empty if not known."""

    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)  # of responses, by nonce
    sent: dict[str, tuple[str, ...]] = field(default_factory=dict)  # names, by nonce
    accepted: str = ""
    nonce: str = ""


class World:
    """The state of one such stream."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def request(self, request: Any) -> Any | None:
        """Return the DiscoveryRequest for a DeltaDiscoveryRequest, None if it must wait.

        What is asked for while a response is not judged goes with the judgement: servers ignore
        requests that do not name their latest response.
        """
        result = discovery.DiscoveryRequest(type_url=request.type_url)
        if request.HasField("node"):
            result.node.CopyFrom(request.node)
        if request.HasField("error_detail"):
            result.error_detail.CopyFrom(request.error_detail)
        if request.type_url == types.HEALTH_INFORMATION:
            return result
        kind = self._subscribe(request)
        if request.response_nonce:
            self._judge(kind, request)
        elif kind.versions:
            return None
        result.version_info, result.response_nonce = kind.accepted, kind.nonce
        if not kind.wildcard:
            result.resource_names.extend(sorted(kind.names))
        return result

    def response(self, response: Any) -> Any:
        """Return the DeltaDiscoveryResponse for a DiscoveryResponse."""
        type_url = response.type_url
        kind = self._kinds.setdefault(type_url, _Kind())
        result = discovery.DeltaDiscoveryResponse(
            type_url=type_url, nonce=response.nonce, system_version_info=response.version_info
        )
        present: dict[str, str] = {}
        for packed in response.resources:
            name = str(Named.FromString(packed.value).name) if type_url in _NAMED else ""
            digest = hashlib.sha256(packed.value).hexdigest()[:16]
            present[name] = digest
            if type_url in _WHOLE and kind.known.get(name) == digest:
                continue
            result.resources.add(name=name, version=digest).resource.CopyFrom(packed)
        if type_url in _WHOLE:
            result.removed_resources.extend(sorted(kind.known.keys() - present.keys()))
            kind.known = present
        kind.versions[response.nonce] = response.version_info
        kind.sent[response.nonce] = tuple(each.name for each in result.resources)
        return result

    def _subscribe(self, request: Any) -> _Kind:
        first = request.type_url not in self._kinds
        kind = self._kinds.setdefault(request.type_url, _Kind())
        names = set(request.resource_names_subscribe)
        if (first and not names) or _ANY_NAME in names:
            kind.wildcard = True
        kind.names |= names - {_ANY_NAME}
        kind.names -= set(request.resource_names_unsubscribe)
        if first:
            kind.known = dict(request.initial_resource_versions)
        return kind

    @staticmethod
    def _judge(kind: _Kind, request: Any) -> None:
        nonce = request.response_nonce
        version, names = kind.versions.pop(nonce, ""), kind.sent.pop(nonce, ())
        kind.nonce = nonce
        if not request.HasField("error_detail"):
            kind.accepted = version
            return
        for name in names:  # refused ones are sent again when they come again
            if name in kind.known:
                kind.known[name] = ""
