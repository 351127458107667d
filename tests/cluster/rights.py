# SPDX-License-Identifier: Apache-2.0
"""Rights of users, as objects of a cluster."""

from __future__ import annotations

from typing import Any


def binding(role: str, namespace: str, user: str) -> dict[str, Any]:
    """Binds a ClusterRole to a user: in a namespace, or cluster-wide without one."""
    group = "rbac.authorization.k8s.io"
    where = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": role, **where},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
