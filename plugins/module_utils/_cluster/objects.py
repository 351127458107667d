# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""From the options of workload_entry and workload_group to Istio's objects."""

from __future__ import annotations

import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import names
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import MANAGER, Object

NETWORKING = "networking.istio.io/v1"
MANAGED_BY = "app.kubernetes.io/managed-by"
SET = "hybrid.mesh/set"

_PORTS: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "name": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "protocol": {"type": "str"},
    },
}
_ENDPOINT: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "ports": _PORTS,
    "labels": {"type": "dict"},
    "annotations": {"type": "dict"},
    "network": {"type": "str"},
    "locality": {"type": "str"},
    "weight": {"type": "int"},
    "service_account": {"type": "str"},
}
ENTRY_OPTIONS: dict[str, t.Any] = {**_ENDPOINT, "address": {"type": "str"}}
GROUP_OPTIONS: dict[str, t.Any] = {
    **_ENDPOINT,
    "probe": {"type": "dict"},
    "members": {"type": "int", "default": 0},
}


def workload_entries(
    entries: t.Sequence[t.Mapping[str, t.Any]],
    namespace: str | None,
    set_name: str | None,
    names_only: bool = False,
) -> tuple[list[Object], list[str]]:
    """One WorkloadEntry for each entry, and everything that is wrong with the entries.

    ``namespace`` is that of entries which name none; ``names_only`` for entries that are to go.
    """
    return _objects(
        "entries", entries, namespace, names_only, lambda e, ns: _entry(e, ns, set_name)
    )


def workload_groups(
    groups: t.Sequence[t.Mapping[str, t.Any]],
    namespace: str | None,
    set_name: str | None,
    names_only: bool = False,
) -> tuple[list[Object], list[str]]:
    """One WorkloadGroup for each group, and everything that is wrong with the groups."""
    return _objects("groups", groups, namespace, names_only, lambda g, ns: _group(g, ns, set_name))


def _objects(
    option: str,
    given: t.Sequence[t.Mapping[str, t.Any]],
    namespace: str | None,
    names_only: bool,
    make: t.Callable[[t.Mapping[str, t.Any], str], Object],
) -> tuple[list[Object], list[str]]:
    found: list[Object] = []
    problems: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for index, one in enumerate(given):
        where = one.get("namespace") or namespace or ""
        label = f"{option}[{index}] ({where}/{one['name']})"
        problems.extend(names.name(f"{label}.name", one["name"]))
        problems.extend(names.namespace(f"{label}.namespace", where))
        if not names_only:
            problems.extend(_problems(label, one))
        earlier = seen.setdefault((where, one["name"]), index)
        if earlier != index:
            problems.append(f"{label}: expected each name once, {option}[{earlier}] has it, too")
        found.append(make(one, where))
    return found, problems


def _problems(label: str, one: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if one.get("address"):
        yield from names.address(f"{label}.address", one["address"])
    elif "address" in one and not one.get("network"):
        yield f"{label}.address: expected an address, or a network in its place, found none"
    yield from names.ports(f"{label}.ports", one.get("ports") or [])
    yield from names.labels(f"{label}.labels", one.get("labels") or {})
    yield from names.keys(f"{label}.annotations", one.get("annotations") or {})
    if one.get("locality"):
        yield from names.locality(f"{label}.locality", one["locality"])
    if one.get("weight") is not None:
        yield from names.weight(f"{label}.weight", one["weight"])
    if one.get("service_account"):
        yield from names.name(f"{label}.service_account", one["service_account"])


def _metadata(one: t.Mapping[str, t.Any], namespace: str, set_name: str | None) -> Object:
    labels = {MANAGED_BY: MANAGER}
    if set_name:
        labels[SET] = set_name
    return {"name": one["name"], "namespace": namespace, "labels": labels}


def _entry(one: t.Mapping[str, t.Any], namespace: str, set_name: str | None) -> Object:
    metadata = _metadata(one, namespace, set_name)
    if one.get("annotations"):
        metadata["annotations"] = _texts(one["annotations"])
    spec = _endpoint(one)
    if one.get("labels"):
        spec["labels"] = _texts(one["labels"])
    if one.get("address"):
        spec["address"] = one["address"]
    return {
        "apiVersion": NETWORKING,
        "kind": "WorkloadEntry",
        "metadata": metadata,
        "spec": spec,
    }


def _group(one: t.Mapping[str, t.Any], namespace: str, set_name: str | None) -> Object:
    spec: Object = {"template": _endpoint(one)}
    given = {key: _texts(one[key]) for key in ("labels", "annotations") if one.get(key)}
    if given:
        spec["metadata"] = given
    if one.get("probe"):
        spec["probe"] = dict(one["probe"])
    return {
        "apiVersion": NETWORKING,
        "kind": "WorkloadGroup",
        "metadata": _metadata(one, namespace, set_name),
        "spec": spec,
    }


def _endpoint(one: t.Mapping[str, t.Any]) -> Object:
    """What an entry and the template of a group have in common."""
    spec: Object = {}
    if one.get("ports"):
        spec["ports"] = {str(port["name"]): port["port"] for port in one["ports"]}
    for option, field in (
        ("network", "network"),
        ("locality", "locality"),
        ("weight", "weight"),
        ("service_account", "serviceAccount"),
    ):
        if one.get(option):
            spec[field] = one[option]
    return spec


def _texts(values: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Values as Kubernetes wants them: a YAML ``version: 1`` or ``true`` is a text, too."""
    return {str(key): _text(value) for key, value in values.items()}


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
