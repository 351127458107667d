# SPDX-License-Identifier: Apache-2.0
"""The status as plain data, and as text for a terminal. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mesh_control.model import Document, MeshSnapshot
from mesh_control.objects.problems import Problem

Status = Mapping[str, Any]


def objects_by_kind(documents: Iterable[Document]) -> dict[str, int]:
    """Count the objects that are in force."""
    return dict(sorted(Counter(document.kind for document in documents).items()))


def problems(found: Iterable[Problem]) -> list[dict[str, object]]:
    """Describe what is wrong with the objects."""
    return [
        {
            "severity": str(problem.severity),
            "where": problem.where,
            "line": problem.line or None,
            "path": problem.path,
            "message": problem.message,
            "text": str(problem),
        }
        for problem in found
    ]


def workloads(snapshot: MeshSnapshot) -> list[dict[str, object]]:
    """Describe the workloads that services may select."""
    return [
        {
            "name": workload.name,
            "namespace": workload.namespace,
            "service_account": workload.service_account,
            "address": workload.address,
            "network": workload.network,
            "group": workload.group or None,
            "labels": dict(workload.labels),
            "healthy": workload.healthy,
        }
        for workload in snapshot.workloads.values()
    ]


def as_text(status: Status) -> str:
    """Write the status for a person: what there is, then what is wrong."""
    objects = ", ".join(f"{number} {kind}" for kind, number in status["objects"].items())
    issued, refused = status["certificates"]["issued"], status["certificates"]["refused"]
    lines = [
        f"mesh-control {status['version']}, trust domain {status['trust_domain']}, "
        f"since {status['since']}",
        f"objects: {objects or 'none'}",
        f"certificates: {issued} issued, {refused} refused, "
        f"root until {status['certificates']['root_not_after']}",
        "",
        *_table(
            ("PROXY", "GROUP", "NETWORK", "ADDRESS", "SINCE", "STATE"),
            [
                (
                    f"{proxy['namespace']}/{proxy['name']}",
                    proxy["group"] or "-",
                    proxy["network"] or "-",
                    proxy["address"],
                    proxy["since"],
                    _state(proxy),
                )
                for proxy in status["proxies"]
            ],
        ),
        "",
        *_table(
            ("WORKLOAD", "ADDRESS", "NETWORK", "HEALTH"),
            [
                (
                    f"{workload['namespace']}/{workload['name']}",
                    workload["address"],
                    workload["network"] or "-",
                    "healthy" if workload["healthy"] else "unhealthy",
                )
                for workload in status["workloads"]
            ],
        ),
    ]
    wrong = [f"{problem['severity']}: {problem['text']}" for problem in status["problems"]]
    wrong += [text for proxy in status["proxies"] for text in _refusals(proxy)]
    return "\n".join([*lines, *(["", *wrong] if wrong else []), ""])


def _state(proxy: Mapping[str, Any]) -> str:
    if proxy["problem"]:
        return "no configuration"
    types = proxy["types"].values()
    if any(known["nacked"] for known in types):
        return "refused"
    return "current" if all(known["sent"] == known["acked"] for known in types) else "pending"


def _refusals(proxy: Mapping[str, Any]) -> Iterable[str]:
    name = f"{proxy['namespace']}/{proxy['name']}"
    if proxy["problem"]:
        yield f"error: {name}: {proxy['problem']}"
    for kind, known in proxy["types"].items():
        for refusal in known["nacked"]:
            what = f"{kind} {refusal['resource']}".strip()
            yield f"error: {name} refused {what}: {refusal['message']}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
