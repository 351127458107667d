# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What an Envoy has, in a few lines: from the answers of its administration interface. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._endpoint import join

Object = t.Dict[str, t.Any]


def version(answer: Object) -> str:
    """The version in ``/server_info``: ``COMMIT/VERSION/...``."""
    parts = str(answer.get("version", "")).split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def listeners(answer: Object) -> list[Object]:
    """Name and address of each listener, from ``/listeners?format=json``."""
    return [
        {
            "name": entry.get("name", ""),
            "address": address(entry.get("local_address") or {}),
        }
        for entry in answer.get("listener_statuses") or []
    ]


def clusters(answer: Object) -> list[Object]:
    """Each cluster and the health of its endpoints, from ``/clusters?format=json``."""
    found = []
    for entry in answer.get("cluster_statuses") or []:
        hosts = [
            {
                "address": address(host.get("address") or {}),
                "healthy": _healthy(host.get("health_status") or {}),
                "weight": host.get("weight", 1),
            }
            for host in entry.get("host_statuses") or []
        ]
        found.append({"name": entry.get("name", ""), "endpoints": hosts})
    return sorted(found, key=lambda cluster: str(cluster["name"]))


def certificates(answer: Object) -> list[Object]:
    """Serial, names and times of each certificate in use, from ``/certs``; each once."""
    found = {}
    for entry in answer.get("certificates") or []:
        for kind in ("cert_chain", "ca_cert"):
            for item in entry.get(kind) or []:
                names = item.get("subject_alt_names") or []
                found[kind, item.get("serial_number")] = {
                    "kind": kind,
                    "serial": item.get("serial_number", ""),
                    "names": [str(value) for name in names for value in name.values()],
                    "not_before": item.get("valid_from", ""),
                    "not_after": item.get("expiration_time", ""),
                }
    return list(found.values())


def address(found: Object) -> str:
    """``HOST:PORT``, or the path of a socket."""
    place = found.get("socket_address")
    if place is None:
        return str((found.get("pipe") or {}).get("path", ""))
    return join(str(place.get("address", "")), place.get("port_value", 0))


def _healthy(status: Object) -> bool:
    """Whether Envoy sends traffic there: every reason not to is a flag of its own."""
    known = status.get("eds_health_status", "HEALTHY")
    failed = any(flag is True for key, flag in status.items() if key.startswith("failed_"))
    return known in ("HEALTHY", "UNKNOWN", "DEGRADED") and not failed
