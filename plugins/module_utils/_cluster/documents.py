# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Files of Kubernetes objects: reading them, and the order in which they go to a cluster."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.api import Object

try:
    import yaml
except ImportError:
    # connection.connect() says so, before anything here is called.
    yaml = None  # type: ignore[assignment]

# What others need before they can be made.
_FIRST = ("Namespace", "CustomResourceDefinition")
_EARLY = ("ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


@dataclass(frozen=True)
class Document:
    """One object and the file that it came from."""

    file: str
    body: Object

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.body["kind"])

    @property
    def reference(self) -> tuple[str, str, str, str]:
        """What is one object to a cluster: API version, kind, namespace, name."""
        metadata = self.body["metadata"]
        return (
            str(self.body["apiVersion"]),
            self.kind,
            str(metadata.get("namespace") or ""),
            str(metadata["name"]),
        )

    @property
    def title(self) -> str:
        """``FILE: KIND NAMESPACE/NAME``."""
        _version, kind, namespace, name = self.reference
        return f"{self.file}: {kind} {namespace + '/' if namespace else ''}{name}"


def rank(kind: str) -> int:
    """Objects of a lower rank are made first, and removed last."""
    if kind in _FIRST:
        return _FIRST.index(kind)
    return 2 if kind in _EARLY else 3


def read(files: t.Mapping[str, t.Any]) -> tuple[list[Document], list[str]]:
    """The objects of all files, and everything that is wrong with them.

    A file's content is YAML with any number of documents, or an object, or a list of objects.
    """
    found: list[Document] = []
    problems: list[str] = []
    for name, content in sorted(files.items()):
        try:
            bodies = _bodies(content)
        except ValueError as exc:
            problems.append(f"{name}: {exc}")
            continue
        for index, body in enumerate(bodies):
            wrong = _wrong(body)
            if wrong:
                problems.append(f"{name}: document {index + 1}: {wrong}")
            else:
                found.append(Document(name, body))
    problems.extend(_twice(found))
    return found, problems


def _bodies(content: t.Any) -> list[t.Any]:
    if isinstance(content, str):
        try:
            content = list(yaml.safe_load_all(content))
        except yaml.YAMLError as exc:
            raise ValueError(f"expected YAML: {exc}") from exc
    # Dates and the like of YAML are no JSON; values of a playbook carry tags that are none either.
    try:
        plain = json.loads(json.dumps(content))
    except TypeError as exc:
        raise ValueError(f"expected plain values: {exc}") from exc
    listed = plain if isinstance(plain, list) else [plain]
    found: list[t.Any] = []
    for body in listed:
        if isinstance(body, dict) and body.get("kind") == "List":
            found.extend(body.get("items") or [])
        elif body is not None:
            found.append(body)
    return found


def _wrong(body: t.Any) -> str:
    if not isinstance(body, dict):
        return f"expected an object with apiVersion, kind and metadata, found {body!r}"
    metadata = body.get("metadata")
    for key, holder in (("apiVersion", body), ("kind", body), ("metadata", body)):
        if not holder.get(key):
            return f"{key}: expected a value, found none"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return f"metadata.name: expected a name, found {(metadata or {}).get('name')!r}"
    return ""


def _twice(found: t.Iterable[Document]) -> t.Iterator[str]:
    seen: dict[tuple[str, ...], Document] = {}
    for document in found:
        first = seen.setdefault(document.reference, document)
        if first is not document:
            yield f"{document.title}: expected each object once, {first.file} has it, too"
