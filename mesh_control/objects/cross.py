# SPDX-License-Identifier: Apache-2.0
"""What only several documents together show: doubles, and names that lead nowhere. Pure."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.problems import Kind, Path, Problem, dotted

_CLUSTER_DOMAIN = "cluster.local"


def duplicates(documents: Sequence[Document]) -> Iterator[Problem]:
    """Find objects that stand twice; the second one is the problem, both are named."""
    first: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        key = (document.kind, document.namespace, document.name)
        if document.kind == "Namespace":
            key = (document.kind, "", document.name)
        other = first.setdefault(key, document)
        if other is not document:
            yield Problem(
                document.where,
                f"is already defined in {other.where}",
                _subject(document),
                others=(other.where.rpartition("[")[0],),
            )


def advice(documents: Sequence[Document], domain: str = _CLUSTER_DOMAIN) -> Iterator[Problem]:
    """Find references without a target and settings that hide one another."""
    by_kind: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        by_kind[document.kind].append(document)
    hosts, wrong = _hosts(by_kind, domain)
    yield from wrong
    subsets = _subsets(by_kind["DestinationRule"], domain)
    gateways = {f"{g.namespace}/{g.name}" for g in by_kind["Gateway"]}
    for document in by_kind["VirtualService"]:
        yield from _destinations(document, hosts, subsets, domain)
        yield from _gateways(document, gateways)
    for document in by_kind["DestinationRule"]:
        host = full_host(str(document.spec["host"]), document.namespace, domain)
        if host not in hosts and not host.startswith("*"):
            yield _no_host(document, ("spec", "host"), host, hosts)
    yield from _mutual_tls(by_kind["PeerAuthentication"])
    yield from _addresses(by_kind["WorkloadEntry"])


def full_host(host: str, namespace: str, domain: str = _CLUSTER_DOMAIN) -> str:
    """Complete a short name by the namespace of the rule; a name with a dot is complete."""
    if "." in host or host == "*":
        return host
    return f"{host}.{namespace}.svc.{domain}"


def _hosts(
    by_kind: Mapping[str, list[Document]], domain: str
) -> tuple[dict[str, Document], list[Problem]]:
    """Return the services by host; a Kubernetes Service comes before a ServiceEntry."""
    hosts: dict[str, Document] = {
        f"{s.name}.{s.namespace}.svc.{domain}": s for s in by_kind["Service"]
    }
    problems = []
    for document in by_kind["ServiceEntry"]:
        spec: Any = document.spec
        for index, host in enumerate(spec["hosts"]):
            other = hosts.setdefault(host, document)
            if other is not document:
                message = f"{host} is already a host of {_subject(other)} in {other.where}"
                path: Path = ("spec", "hosts", index)
                problems.append(_advice(document, path, f"{message}, which is the one used"))
    return hosts, problems


def _subsets(rules: Iterable[Document], domain: str) -> dict[str, set[str]]:
    subsets: dict[str, set[str]] = defaultdict(set)
    for rule in rules:
        spec: Any = rule.spec
        host = full_host(spec["host"], rule.namespace, domain)
        subsets[host] |= {subset["name"] for subset in spec.get("subsets", [])}
    return subsets


def _destinations(
    document: Document,
    hosts: Mapping[str, Document],
    subsets: Mapping[str, set[str]],
    domain: str,
) -> Iterator[Problem]:
    for path, destination in _routes(document):
        host = full_host(destination["host"], document.namespace, domain)
        subset = destination.get("subset")
        if host not in hosts:
            yield _no_host(document, (*path, "host"), host, hosts)
        elif subset and subset not in subsets.get(host, set()):
            known = ", ".join(sorted(subsets.get(host, set()))) or "none"
            message = f"no DestinationRule of {host} has a subset {subset!r} (it has: {known})"
            yield _advice(document, (*path, "subset"), message)


def _routes(document: Document) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    spec: Any = document.spec
    for section in ("http", "tls", "tcp"):
        for index, route in enumerate(spec.get(section, [])):
            for number, item in enumerate(route.get("route", [])):
                path = ("spec", section, index, "route", number, "destination")
                yield path, item["destination"]


def _gateways(document: Document, known: set[str]) -> Iterator[Problem]:
    names: Any = document.spec.get("gateways", [])
    for index, name in enumerate(names):
        full = name if "/" in name else f"{document.namespace}/{name}"
        if name != "mesh" and full not in known:
            message = f"there is no Gateway {full}{_close(full, known)}"
            yield _advice(document, ("spec", "gateways", index), message)


def _mutual_tls(documents: Iterable[Document]) -> Iterator[Problem]:
    whole: dict[str, Document] = {}
    for document in documents:
        selector: Any = document.spec.get("selector", {})
        if selector.get("matchLabels"):
            continue
        other = whole.setdefault(document.namespace, document)
        if other is not document:
            message = f"{other.where} already holds for the whole namespace, and is the one used"
            yield _advice(document, ("spec",), message)


def _addresses(entries: Iterable[Document]) -> Iterator[Problem]:
    seen: dict[tuple[object, object], Document] = {}
    for entry in entries:
        key = (entry.spec.get("network", ""), entry.spec.get("address"))
        other = seen.setdefault(key, entry)
        if other is not entry:
            message = f"{key[1]} is also the address of {_subject(other)} in {other.where}"
            yield _advice(entry, ("spec", "address"), message)


def _no_host(document: Document, path: Path, host: str, hosts: Iterable[str]) -> Problem:
    message = f"there is no Service or ServiceEntry for {host}{_close(host, hosts)}"
    return _advice(document, path, message)


def _close(word: str, known: Iterable[str]) -> str:
    names = list(known)
    # A name of Kubernetes that was cut short is the usual mistake; spelling comes second.
    close = [name for name in names if name.startswith(f"{word}.")]
    close = close or difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""


def _advice(document: Document, path: Path, message: str) -> Problem:
    return Problem(document.where, message, _subject(document), dotted(path), Kind.ADVICE)


def _subject(document: Document) -> str:
    if document.kind == "Namespace":
        return f"{document.kind} {document.name}"
    return f"{document.kind} {document.namespace}/{document.name}"
