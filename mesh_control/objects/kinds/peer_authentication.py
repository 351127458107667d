# SPDX-License-Identifier: Apache-2.0
"""PeerAuthentication: whether plaintext is accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import MATCH_LABELS
from mesh_control.objects.kinds.kind import SECURITY, ObjectKind, invalid
from mesh_control.objects.problems import Finding
from mesh_control.objects.types import Choice, MapOf, Message, Text

_MUTUAL_TLS = Message({"mode": Choice(("UNSET", "DISABLE", "PERMISSIVE", "STRICT"))})
_PORT_KEY = Text("a port (1 to 65535)", lambda text: text.isdecimal() and 1 <= int(text) <= 65535)
_SCHEMA = Message(
    {
        "selector": MATCH_LABELS,
        "mtls": _MUTUAL_TLS,
        "portLevelMtls": MapOf(_MUTUAL_TLS, key=_PORT_KEY),
    }
)


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    if "portLevelMtls" in spec and not spec.get("selector", {}).get("matchLabels"):
        message = "needs spec.selector.matchLabels: ports belong to workloads"
        yield invalid(("spec", "portLevelMtls"), message)


KIND = ObjectKind("PeerAuthentication", SECURITY, _SCHEMA, _rules, section_required=False)
