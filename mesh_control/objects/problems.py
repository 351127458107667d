# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an object, and where: for the log, the status and ``config check``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str | int, ...]


class Severity(StrEnum):
    """An error keeps the object's file from being applied; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """What sort of finding: the four are told apart for the reader."""

    UNKNOWN = "unknown"  # no such field, kind or version in the API: a typing error
    INVALID = "invalid"  # a value that the API does not allow
    UNSUPPORTED = "unsupported"  # the API has it, this control plane does not, yet
    ADVICE = "advice"  # allowed, and hardly what was meant

    @property
    def severity(self) -> Severity:
        """Advice is a warning; everything else is an error."""
        return Severity.WARNING if self is Kind.ADVICE else Severity.ERROR


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one place in a document. ``path`` is from the document's root."""

    path: Path
    message: str
    kind: Kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with its place in the files; ``str()`` is the line for the operator."""

    where: str  # shop.yaml[2] (documents count from 0, as list items do), or shop.yaml
    message: str
    subject: str = ""  # VirtualService shop/api
    path: str = ""  # spec.http[0].rout
    kind: Kind = Kind.INVALID
    line: int = 0  # in the file, from 1; 0: not known
    others: tuple[str, ...] = ()  # further files that take part, e.g. of a duplicate

    @property
    def severity(self) -> Severity:
        """Whether the file may be applied nevertheless."""
        return self.kind.severity

    @property
    def file(self) -> str:
        """The name of the file."""
        return self.where.rpartition("[")[0] if self.where.endswith("]") else self.where

    def __str__(self) -> str:
        head = f"{self.where} {self.subject}" if self.subject else self.where
        parts = [head, self.path, self.message] if self.path else [head, self.message]
        text = ": ".join(parts)
        return f"{text} (line {self.line})" if self.line else text


def dotted(path: Path) -> str:
    """Write a path as the operator does: ``spec.http[0].match[1].headers[x-user]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("-", "").replace("_", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f"[{step}]"
    return text


def found(value: object) -> str:
    """Describe a value in a message, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
