# SPDX-License-Identifier: Apache-2.0
"""Files of YAML to documents, with everything that is wrong with them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mesh_control.model import Document
from mesh_control.objects import text
from mesh_control.objects.cross import advice, duplicates
from mesh_control.objects.kinds import KINDS, KNOWN_KINDS
from mesh_control.objects.kinds.kind import ObjectKind
from mesh_control.objects.metadata import METADATA, metadata_findings
from mesh_control.objects.problems import Finding, Kind, Problem, Severity, dotted, found
from mesh_control.objects.supported import REGISTRY_SUPPORTED, Paths, Supported, unsupported
from mesh_control.objects.text import Raw
from mesh_control.objects.validate import findings, suggestion

DEFAULT_NAMESPACE = "default"

Reader = Callable[[Document], Iterable[str]]
"""What a later reader of a document has against its values: lines ``WHERE: PATH: MESSAGE``."""


def no_reader(_unused: Document) -> Iterable[str]:
    """Nobody reads the documents further."""
    return ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What stands in the files: the documents without errors, and the problems of all.

    A file takes part as a whole or not at all: use `documents` only after a look at `bad_files`.
    """

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]

    @property
    def bad_files(self) -> frozenset[str]:
        """Names of the files that have an error of their own."""
        return frozenset(p.file for p in self.problems if p.severity is Severity.ERROR)


def load(files: Mapping[str, str], supported: Supported, reader: Reader = no_reader) -> Loaded:
    """Read ``files`` (name -> YAML text) in the order of their names.

    ``supported`` holds, for each kind that the translation reads, the paths that have an effect
    (see supported.py); what the registry reads is known here. ``reader`` has the last word on
    documents that are otherwise right; of ConfigMap istio it gets ``mesh`` as kind MeshConfig.
    """
    paths = _paths(supported)
    documents: list[Document] = []
    problems: list[Problem] = []
    for name in sorted(files):
        raws, wrong = text.documents(name, files[name])
        problems += wrong
        for raw in raws:
            document, wrong = _read(raw, paths, reader, len(documents))
            problems += wrong
            if document:
                documents.append(document)
    twice = list(duplicates(documents))
    places = {problem.where for problem in twice}
    documents = [document for document in documents if document.where not in places]
    problems += twice
    if not _has_error(problems):
        problems += advice(documents)
    return Loaded(tuple(documents), tuple(problems))


def _paths(supported: Supported) -> dict[str, Paths]:
    """Return the supported paths by kind; the ConfigMap's are those of the texts in it."""
    sets = {**REGISTRY_SUPPORTED, **supported}
    mesh = REGISTRY_SUPPORTED["MeshConfig"] | supported.get("MeshConfig", frozenset())
    sets["ConfigMap"] = {f"mesh.{path}" for path in mesh} | {
        f"meshNetworks.{path}" for path in REGISTRY_SUPPORTED["MeshNetworks"]
    }
    return {kind: Paths(paths) for kind, paths in sets.items()}


def _read(
    raw: Raw, paths: Mapping[str, Paths], reader: Reader, created: int
) -> tuple[Document | None, list[Problem]]:
    """Turn one raw document into a Document, or None with the reasons."""
    if not isinstance(raw.data, dict):
        return None, [Problem(raw.where, f"expected an object, found {found(raw.data)}")]
    data: dict[str, Any] = raw.data
    header = list(_header(data))
    if header:
        return None, [_problem(raw, "", finding) for finding in header]
    kind = KINDS[data["kind"]]
    wrong = list(findings(METADATA, data.get("metadata", {}), ("metadata",)))
    wrong += _section_findings(kind, data)
    document = None
    if all(finding.kind is not Kind.INVALID for finding in wrong):
        data = {**data, kind.section: kind.normal(data.get(kind.section, {}))}
        document = _document(kind, data, raw.where, created)
        wrong += metadata_findings(document)
        # What a misspelt field left behind is not said twice.
        misspelt = {finding.path[:-1] for finding in wrong if finding.kind is Kind.UNKNOWN}
        wrong += [finding for finding in kind.rules(document) if finding.path not in misspelt]
    known = paths.get(kind.name, Paths(()))
    said = {finding.path for finding in wrong}
    beyond = unsupported(kind.schema, data.get(kind.section), known, (kind.section,))
    wrong += [finding for finding in beyond if finding.path not in said]
    problems = [_problem(raw, _subject(kind, data), finding) for finding in wrong]
    if document and not _has_error(problems):
        problems += _reader_problems(raw, document, reader)
    return (None if _has_error(problems) else document), problems


def _has_error(problems: Iterable[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)


def _header(data: dict[str, object]) -> Iterator[Finding]:
    """Check apiVersion and kind, on which everything else depends."""
    kind, version = data.get("kind"), data.get("apiVersion")
    if not isinstance(kind, str) or not kind:
        yield Finding(("kind",), f"expected the kind of an object, found {found(kind)}")
    elif kind in KINDS:
        expected = KINDS[kind].api
        if version in expected:
            return
        if isinstance(version, str) and kind == "Gateway" and version.startswith("gateway."):
            yield Finding(("kind",), f"{kind} of {version}", Kind.UNSUPPORTED)
        else:
            message = f"expected {' or '.join(expected)} for a {kind}, found {found(version)}"
            unknown = Kind.UNKNOWN if isinstance(version, str) else Kind.INVALID
            yield Finding(("apiVersion",), message, unknown)
    elif kind in KNOWN_KINDS:
        yield Finding(("kind",), kind, Kind.UNSUPPORTED)
    else:
        hint = suggestion(kind, KINDS)
        yield Finding(("kind",), f"unknown kind {kind!r}{hint}", Kind.UNKNOWN)


def _section_findings(kind: ObjectKind, data: dict[str, object]) -> Iterator[Finding]:
    # status is what a server reports about an object; copies of live objects carry it.
    top = {"apiVersion", "kind", "metadata", "status", kind.section} | kind.other_fields
    for name in data:
        if name not in top:
            message = f"unknown field{suggestion(name, top)}"
            yield Finding((name,), message, Kind.UNKNOWN)
    if kind.section in data:
        yield from findings(kind.schema, data[kind.section], (kind.section,))
    elif kind.section_required:
        yield Finding((kind.section,), "is required")


def _document(kind: ObjectKind, data: Mapping[str, Any], where: str, created: int) -> Document:
    metadata = data["metadata"]
    spec = data[kind.section]
    if kind.name == "ConfigMap":
        spec = {n: text.plain(content) for n, content in spec.items() if isinstance(content, str)}
    return Document(
        kind=kind.name,
        name=metadata["name"],
        namespace=metadata.get("namespace", DEFAULT_NAMESPACE),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        spec=spec,
        where=where,
        created=created,
    )


def _subject(kind: ObjectKind, data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return kind.name
    if kind.name == "Namespace":
        return f"{kind.name} {metadata['name']}"
    return f"{kind.name} {metadata.get('namespace', DEFAULT_NAMESPACE)}/{metadata['name']}"


def _problem(raw: Raw, subject: str, finding: Finding) -> Problem:
    path, message, line = dotted(finding.path), finding.message, raw.line(finding.path)
    if finding.kind is not Kind.UNSUPPORTED:
        return Problem(raw.where, message, subject, path, finding.kind, line)
    what = path + (f" {message}" if path == "kind" else f": {message}" if message else "")
    file = raw.where.rpartition("[")[0]
    message = f"not supported yet: {what} in {file}"
    return Problem(raw.where, message, subject, kind=finding.kind, line=line)


def _reader_problems(raw: Raw, document: Document, reader: Reader) -> Iterator[Problem]:
    subject = f"{document.kind} {document.namespace}/{document.name}"
    if document.kind == "ConfigMap":
        mesh: Any = document.spec.get("mesh", {})
        document = replace(document, kind="MeshConfig", spec=mesh)
    for line in reader(document):
        path, _unused, message = line.removeprefix(f"{document.where}: ").partition(": ")
        steps = re.findall(r"\[(\d+)\]|([^.\[\]]+)", path)
        place = tuple(int(index) if index else name for index, name in steps)
        yield Problem(raw.where, message, subject, path, line=raw.line(place))
