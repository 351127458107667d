# SPDX-License-Identifier: Apache-2.0
"""Metadata of any object: names, labels, and annotations of Istio's that mean something."""

from __future__ import annotations

from collections.abc import Iterator

from mesh_control.model import Document
from mesh_control.objects.kinds.common import LABELS
from mesh_control.objects.problems import Finding, Kind
from mesh_control.objects.scalars import ANY, DNS_LABEL, DNS_NAME, LABEL_KEY, STRING
from mesh_control.objects.types import MapOf, Message

METADATA = Message(
    {
        "name": DNS_NAME,
        "namespace": DNS_LABEL,
        "labels": LABELS,
        "annotations": MapOf(STRING, key=LABEL_KEY),
        # What a server adds: copies of live objects carry it.
        "creationTimestamp": ANY,
        "deletionGracePeriodSeconds": ANY,
        "deletionTimestamp": ANY,
        "finalizers": ANY,
        "generation": ANY,
        "managedFields": ANY,
        "ownerReferences": ANY,
        "resourceVersion": ANY,
        "selfLink": ANY,
        "uid": ANY,
    },
    required=("name",),
)

_WITHOUT_EFFECT = frozenset({"galley.istio.io/analyze-suppress"})


def metadata_findings(document: Document) -> Iterator[Finding]:
    """Find annotations by which Istio changes what an object does; none has an effect here."""
    for name in document.annotations:
        domain = name.partition("/")[0]
        istio = domain == "istio.io" or domain.endswith(".istio.io")
        if istio and name not in _WITHOUT_EFFECT:
            yield Finding(("metadata", "annotations", name), "", Kind.UNSUPPORTED)
