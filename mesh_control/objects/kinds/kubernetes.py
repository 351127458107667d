# SPDX-License-Identifier: Apache-2.0
"""Kubernetes objects that accompany others in a directory and need nothing done here."""

from __future__ import annotations

from mesh_control.objects.kinds.kind import CORE, ObjectKind
from mesh_control.objects.scalars import ANY
from mesh_control.objects.types import Message

SERVICE_ACCOUNT = ObjectKind(
    "ServiceAccount",
    CORE,
    Message({}),
    section_required=False,
    other_fields=frozenset({"secrets", "imagePullSecrets", "automountServiceAccountToken"}),
)
NAMESPACE = ObjectKind("Namespace", CORE, Message({"finalizers": ANY}), section_required=False)
