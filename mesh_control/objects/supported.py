# SPDX-License-Identifier: Apache-2.0
"""Which part of the API has an effect here: sets of dotted field paths, and what lies outside them.

A path is relative to ``spec``; ``[]`` stands for each item of a list and each value of a map:
``http[].route[].destination.subset``. A path without longer ones supports all that is below it.
``tls.mode=PASSTHROUGH`` supports one value of a field; several such entries, several values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Set

import yaml

from mesh_control.objects.problems import Finding, Kind, Path, found
from mesh_control.objects.text import plain
from mesh_control.objects.types import ListOf, MapOf, Message, Type, YamlText

Supported = Mapping[str, Set[str]]

_ENTRY = {
    "address",
    "ports",
    "labels",
    "network",
    "locality",
    "weight",
    "serviceAccount",
}

# What the registry reads; the translation publishes the sets of the kinds that it reads.
REGISTRY_SUPPORTED: Mapping[str, frozenset[str]] = {
    "Service": frozenset(
        {
            "selector",
            "ports[].name",
            "ports[].port",
            "ports[].targetPort",
            "ports[].appProtocol",
            "ports[].protocol=TCP",
            "clusterIP",
            "clusterIPs",
            "type=ClusterIP",
            # Values that ask for nothing beyond what a mesh of hosts does anyway.
            "sessionAffinity=None",
            "internalTrafficPolicy=Cluster",
            "ipFamilyPolicy=SingleStack",
            "ipFamilies[]=IPv4",
            "publishNotReadyAddresses=false",
        }
    ),
    "WorkloadEntry": frozenset(_ENTRY),
    "WorkloadGroup": frozenset(
        {"metadata", "probe", *(f"template.{name}" for name in _ENTRY - {"address"})}
    ),
    "ServiceEntry": frozenset(
        {
            "hosts",
            "addresses",
            "ports",
            "location",
            "resolution=NONE",
            "resolution=STATIC",
            "resolution=DNS",
            "endpoints",
            "workloadSelector",
            "subjectAltNames",
            "exportTo[]=*",
        }
    ),
    "ConfigMap": frozenset({"mesh", "meshNetworks"}),
    "MeshConfig": frozenset({"rootNamespace", "trustDomain"}),
    "MeshNetworks": frozenset(
        {
            "networks[].endpoints",
            "networks[].gateways[].address",
            "networks[].gateways[].port",
        }
    ),
    "ServiceAccount": frozenset({""}),
    "Namespace": frozenset({""}),
}


class Paths:
    """The supported paths of one kind, by question."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._values: dict[str, set[str]] = {}
        self._inner: set[str] = set()
        self._whole: set[str] = set()
        for path in paths:
            field, is_value, value = _canonical(path).partition("=")
            if is_value:
                self._values.setdefault(field, set()).add(value)
            else:
                self._whole.add(field)
            while "." in field or field.endswith("[]"):
                field = field.removesuffix("[]") if field.endswith("[]") else _parent(field)
                self._inner.add(field)

    def knows(self, pattern: str) -> bool:
        """Whether the field, or something below it, is supported."""
        return pattern in self._whole or pattern in self._inner or pattern in self._values

    def opens(self, pattern: str) -> bool:
        """Whether what is below the field is told apart."""
        return pattern in self._inner or pattern in self._values

    def values(self, pattern: str) -> set[str] | None:
        """Return the supported values of the field, or None when all are."""
        return self._values.get(pattern)


def unsupported(kind: Type, value: object, paths: Paths, root: Path) -> Iterator[Finding]:
    """Find what ``value`` has that ``paths`` has not. The message leaves out the file."""
    yield from _walk(kind, value, paths, root, "")


def _walk(kind: Type, value: object, paths: Paths, path: Path, pattern: str) -> Iterator[Finding]:
    if pattern and not paths.knows(pattern):
        yield Finding(path, "", Kind.UNSUPPORTED)
        return
    if pattern and not paths.opens(pattern):
        return
    values = paths.values(pattern)
    if values is not None and not isinstance(value, (dict, list)) and _word(value) not in values:
        supported = ", ".join(sorted(values))
        yield Finding(path, f"{found(value)} (supported: {supported})", Kind.UNSUPPORTED)
    match kind:
        case YamlText(content) if isinstance(value, str):
            with contextlib.suppress(yaml.YAMLError):  # said by the validation
                yield from _walk(content, plain(value), paths, path, pattern)
        case Message(fields) if isinstance(value, dict):
            for name, item in value.items():
                if name in fields:
                    below = f"{pattern}.{name}" if pattern else name
                    yield from _walk(fields[name], item, paths, (*path, name), below)
        case MapOf(inner) if isinstance(value, dict):
            for name, item in value.items():
                yield from _walk(inner, item, paths, (*path, name), f"{pattern}[]")
        case ListOf(inner) if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _walk(inner, item, paths, (*path, index), f"{pattern}[]")


def _canonical(path: str) -> str:
    return path.removeprefix("spec.").replace("{}", "[]").replace(".*", "[]")


def _parent(field: str) -> str:
    return field.rpartition(".")[0]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
