# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Service accounts that objects name: istiod takes an account that does not exist without a word,
and no host can ever get a certificate for it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Api, Object, Objects
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.apply import key_of


def named(body: Object) -> tuple[str, str] | None:
    """Field and name of the account that a WorkloadEntry or WorkloadGroup names."""
    spec = body.get("spec") or {}
    template = spec.get("template")
    account = (spec if template is None else template).get("serviceAccount")
    if not account:
        return None
    return ("spec" if template is None else "spec.template") + ".serviceAccount", account


def missing(api: Api, bodies: Objects) -> dict[str, tuple[str, str]]:
    """``NAMESPACE/NAME`` of the objects whose account is not there -> field and message.

    One LIST for each namespace. Raises ClusterError when service accounts cannot be listed.
    """
    wanted: dict[str, list[tuple[Object, str, str]]] = {}
    for body in bodies:
        account = named(body)
        if account is not None:
            wanted.setdefault(body["metadata"]["namespace"], []).append((body, *account))
    found: dict[str, tuple[str, str]] = {}
    for namespace, uses in sorted(wanted.items()):
        known = _accounts(api, namespace)
        for body, field, name in uses:
            if name not in known:
                found[key_of(body)] = (
                    field,
                    f"{field}: expected a ServiceAccount of the namespace {namespace}, found "
                    f"{name!r}, which does not exist there",
                )
    return found


def _accounts(api: Api, namespace: str) -> set[str]:
    items: t.Iterable[Object] = api.list(f"/api/v1/namespaces/{namespace}/serviceaccounts")
    return {item["metadata"]["name"] for item in items}
