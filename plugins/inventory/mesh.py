# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh
short_description: The hosts that a mesh has registered, as an inventory
version_added: 0.1.0
author:
  - hybrid.mesh contributors (@hybrid-mesh)
description:
  - Makes a host of every workload that is registered in the mesh. Read are the WorkloadEntries of
    clusters, and what the embedded control plane says of itself.
  - Each host gets C(ansible_host), the C(mesh_*) variables that say what it is in the mesh, and
    C(mesh_registered) with what the registry knows beside that, its health above all.
  - Each host is put into the groups C(mesh_network_NAME), C(mesh_namespace_NAME),
    C(mesh_group_NAME), C(mesh_service_account_NAMESPACE_NAME), C(mesh_region_NAME),
    C(mesh_health_STATE) and C(mesh_source_NAME), as far as these are known.
  - The name of its file ends in C(mesh.yml) or C(mesh.yaml).
extends_documentation_fragment:
  - constructed
  - inventory_cache
requirements:
  - kubernetes (the Python package, for O(clusters))
options:
  plugin:
    description: Says that the file is for this plugin.
    type: str
    required: true
    choices: [hybrid.mesh.mesh]
  clusters:
    description:
      - The clusters to read. Each has a V(name) for the group and for messages, V(namespaces) to
        read, all without it, and how to reach it, with the options and defaults of the modules
        of this collection, V(kubeconfig) and V(context) above all.
    type: list
    elements: dict
    default: []
  control_planes:
    description:
      - The embedded control planes to read. Each has a V(name), and one of the following.
      - V(file), in which the output of C(mesh-control status --json) was kept.
      - V(command), a list, that prints it. It runs on the controller, without a shell, and may go
        through C(ssh).
      - V(url) of its status, C(http://HOST:15014/status). By default the control plane serves that
        to its own host only, so this takes a tunnel.
    type: list
    elements: dict
    default: []
  hostname:
    description:
      - Jinja expression for the name of a host. It sees V(name), V(namespace), V(address),
        V(network), V(service_account), V(group), V(labels), V(locality), V(health) and V(source).
      - Two workloads of one name and one address are one host, the first of them. Two workloads of
        one name and different addresses are an error.
    type: str
    default: name
"""

EXAMPLES = r"""
---
# shop.mesh.yml
plugin: hybrid.mesh.mesh
clusters:
  - name: shop
    kubeconfig: ~/.kube/shop
    namespaces: [shop]
control_planes:
  - name: branch
    command:
      - ssh
      - control-1
      - sudo /opt/hybrid-mesh/runtime/current/bin/mesh-control status --json
hostname: name ~ '.' ~ namespace
keyed_groups:
  - key: mesh_labels.version
    prefix: version
groups:
  broken: mesh_registered.health == 'unhealthy'
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/hybrid-mesh/inventory
"""

import dataclasses
import json
import os
import subprocess
import typing as t

from ansible.errors import AnsibleParserError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.module_utils.urls import open_url
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster import connection
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.objects import (
    MANAGED_BY,
    NETWORKING,
    SET,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.workloads import (
    Workload,
    from_entry,
    from_status,
)

Found = t.Dict[str, t.Any]  # a Workload as a dictionary, with its source

_WAYS = ("file", "command", "url")
_SECONDS = 30


def from_cluster(where: str, cluster: t.Mapping[str, t.Any]) -> list[Workload]:
    """The WorkloadEntries of a cluster. Raises ClusterError, or AnsibleParserError for the file."""
    known = {"name", "namespaces", *connection.ARGUMENTS}
    _check_keys(where, cluster, known)
    params = {
        name: cluster.get(name, _environment(name, argument))
        for name, argument in connection.ARGUMENTS.items()
    }
    api = connection.connect(params)
    namespaces = cluster.get("namespaces")
    paths = [f"/apis/{NETWORKING}/workloadentries"]
    if namespaces:
        paths = [f"/apis/{NETWORKING}/namespaces/{name}/workloadentries" for name in namespaces]
    return [from_entry(entry) for path in paths for entry in api.list(path)]


def _environment(name: str, argument: t.Mapping[str, t.Any]) -> t.Any:
    """What stands for an option that is not given, as for the modules."""
    if "options" in argument:
        return {key: _environment(key, inner) for key, inner in argument["options"].items()}
    given = (os.environ.get(variable) for variable in argument["fallback"][1])
    value = next(filter(None, given), None)
    if value and argument.get("elements"):
        return value.split(",")
    return boolean(value) if value and argument["type"] == "bool" else value


def from_control_plane(where: str, plane: t.Mapping[str, t.Any]) -> list[Workload]:
    """The workloads of an embedded control plane. Raises AnsibleParserError."""
    _check_keys(where, plane, {"name", *_WAYS})
    given = [way for way in _WAYS if plane.get(way)]
    if len(given) != 1:
        raise AnsibleParserError(f"{where}: expected one of {', '.join(_WAYS)}")
    try:
        return from_status(json.loads(_status(given[0], plane[given[0]])))
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        said = getattr(exc, "stderr", None) or exc
        raise AnsibleParserError(f"{where}.{given[0]}: {plane[given[0]]}: {said}") from exc


def _status(way: str, value: t.Any) -> str:
    if way == "file":
        with open(os.path.expanduser(value), encoding="utf-8") as stream:
            return stream.read()
    if way == "url":
        text: str = open_url(value, timeout=_SECONDS).read().decode()
        return text
    if not isinstance(value, list):
        raise ValueError("expected the program and its arguments as a list")
    argv = [str(part) for part in value]
    done = subprocess.run(argv, text=True, capture_output=True, check=True, timeout=_SECONDS)  # noqa: S603
    return done.stdout


def _check_keys(where: str, given: t.Mapping[str, t.Any], known: t.Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise AnsibleParserError(
            f"{where}: unknown key {unknown[0]!r}: expected one of {', '.join(sorted(known))}"
        )


def variables(found: Found) -> dict[str, t.Any]:
    """The variables of a host, by the names that the collection's roles use where there are any."""
    named = {
        "ansible_host": found["address"],
        "mesh_address": found["address"],
        "mesh_namespace": found["namespace"],
        "mesh_network": found["network"],
        "mesh_service_account": found["service_account"],
        "mesh_workload_group": found["group"],
        "mesh_labels": {k: v for k, v in found["labels"].items() if k not in (MANAGED_BY, SET)},
        "mesh_ports": [{"name": n, "port": p} for n, p in sorted(found["ports"].items())],
    }
    rest = ("name", "source", "health", "locality", "weight", "connected_at", "disconnected_at")
    return {
        **{name: value for name, value in named.items() if value},
        "mesh_registered": {name: found[name] for name in rest},
    }


def group_names(found: Found) -> list[str]:
    """The groups of a host, not yet made safe."""
    account = found["service_account"]
    named = {
        "network": found["network"],
        "namespace": found["namespace"],
        "group": found["group"],
        "service_account": f"{found['namespace']}_{account}" if account else "",
        "region": found["locality"].partition("/")[0],
        "health": found["health"],
        "source": found["source"],
    }
    return [f"mesh_{kind}_{value}" for kind, value in named.items() if value]


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Reads the sources, or the cache, and fills the inventory."""

    NAME = "hybrid.mesh.mesh"

    def verify_file(self, path: str) -> bool:
        """Whether the file is meant for this plugin, by its name."""
        return bool(super().verify_file(path)) and path.endswith(("mesh.yml", "mesh.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Fill the inventory from the file at ``path``. Raises AnsibleParserError naming it."""
        super().parse(inventory, loader, path)
        self._read_config_data(path)
        key = self.get_cache_key(path)
        found = None
        if cache and self.get_option("cache"):
            found = self._cache.get(key)
        if found is None:
            found = self._ask(path)
            if self.get_option("cache"):
                self._cache[key] = found
        self._fill(path, found)

    def _ask(self, path: str) -> list[Found]:
        found: list[Found] = []
        for option, read in (("clusters", from_cluster), ("control_planes", from_control_plane)):
            for index, source in enumerate(self.get_option(option)):
                name = str(source.get("name") or f"{option}_{index}")
                where = f"{path}: {option}[{index}]"
                try:
                    read_now = read(where, source)
                except ClusterError as exc:
                    raise AnsibleParserError(f"{where}: {exc}") from exc
                found += [{**dataclasses.asdict(one), "source": name} for one in read_now]
        return found

    def _fill(self, path: str, workloads: list[Found]) -> None:
        strict = self.get_option("strict")
        taken: dict[str, Found] = {}
        for found in workloads:
            host = self._hostname(path, found)
            if host in taken:
                self._same(path, host, taken[host], found)
                continue
            taken[host] = found
            self.inventory.add_host(host)
            for name, value in variables(found).items():
                self.inventory.set_variable(host, name, value)
            for group in group_names(found):
                safe = self._sanitize_group_name(group)
                self.inventory.add_group(safe)
                self.inventory.add_child(safe, host)
            known = self.inventory.get_host(host).get_vars()
            self._set_composite_vars(self.get_option("compose"), known, host, strict=strict)
            known = self.inventory.get_host(host).get_vars()
            self._add_host_to_composed_groups(self.get_option("groups"), known, host, strict=strict)
            self._add_host_to_keyed_groups(
                self.get_option("keyed_groups"), known, host, strict=strict
            )

    def _hostname(self, path: str, found: Found) -> str:
        expression = self.get_option("hostname")
        try:
            host = self._compose(expression, found)
        except Exception as exc:
            raise AnsibleParserError(f"{path}: hostname: {expression}: {exc}") from exc
        if not host or not isinstance(host, str):
            raise AnsibleParserError(f"{path}: hostname: expected a text, found {host!r}")
        return str(host)

    @staticmethod
    def _same(path: str, host: str, first: Found, second: Found) -> None:
        if (first["address"], first["network"]) != (second["address"], second["network"]):
            described = [
                f"{one['namespace']}/{one['name']} of {one['source']} at {one['address']}"
                for one in (first, second)
            ]
            raise AnsibleParserError(
                f"{path}: two workloads would be the host {host}: {described[0]}, and "
                f"{described[1]}: set hostname so that their names differ, for example to "
                "name ~ '.' ~ namespace"
            )
