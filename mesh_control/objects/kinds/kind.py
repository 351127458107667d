# SPDX-License-Identifier: Apache-2.0
"""What a kind consists of, and the helpers that rules of several kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.problems import Finding, Kind, Path, found
from mesh_control.objects.types import Message

Rules = Callable[[Document], Iterator[Finding]]

NETWORKING = tuple(f"networking.istio.io/{v}" for v in ("v1", "v1beta1", "v1alpha3"))
SECURITY = tuple(f"security.istio.io/{v}" for v in ("v1", "v1beta1"))
CORE = ("v1",)


def no_rules(_unused: Document) -> Iterator[Finding]:
    """Nothing beyond the schema."""
    yield from ()


def as_it_is(section: Any) -> Any:
    """Nothing to write in another way."""
    return section


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind: its API versions, the type of its one section, and what a type cannot say.

    ``rules`` is called when the section has the right types, and may rely on them. Paths of its
    findings start with the section. ``normal`` may rely on them too: it writes in one way what the
    API lets be written in several.
    """

    name: str
    api: tuple[str, ...]
    schema: Message
    rules: Rules = no_rules
    normal: Callable[[Any], Any] = as_it_is
    section: str = "spec"
    section_required: bool = True
    other_fields: frozenset[str] = frozenset()  # top-level fields without effect here


def invalid(path: Path, message: str) -> Finding:
    """A value that the API does not allow."""
    return Finding(path, message)


def advice(path: Path, message: str) -> Finding:
    """Something allowed that is hardly meant."""
    return Finding(path, message, Kind.ADVICE)


def not_yet(path: Path, what: str = "") -> Finding:
    """A value or combination that the API has and this control plane does not."""
    return Finding(path, what, Kind.UNSUPPORTED)


def unique(items: Iterable[tuple[object, Path]], what: str) -> Iterator[Finding]:
    """Find a value that stands twice among ``items`` (value, path)."""
    seen: set[object] = set()
    for value, path in items:
        if value in seen:
            yield invalid(path, f"{what} {found(value)} is given twice")
        seen.add(value)
