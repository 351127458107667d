# SPDX-License-Identifier: Apache-2.0
"""The shapes that a schema is written in. Data only; validate.py reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A string that ``test`` accepts; ``label`` completes "expected ..."."""

    label: str = "a string"
    test: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """An integer, or any number, within bounds (both inclusive)."""

    minimum: float | None = None
    maximum: float | None = None
    integer: bool = True
    label: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NumberOrText:
    """A number or a string, e.g. Kubernetes' targetPort."""

    number: Number
    text: Text


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; ``at_least`` items."""

    item: Type
    at_least: int = 0
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with free keys that ``key`` accepts."""

    value: Type
    key: Text = Text()
    at_most: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A mapping with known fields. ``one_of``: groups of which at most one field may be given."""

    fields: Mapping[str, Type]
    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class YamlText:
    """A string that holds a YAML document, as in Istio's ConfigMap."""

    content: Message


@dataclass(frozen=True, slots=True)
class Anything:
    """Not looked into: a field that is known and not supported, or has no effect."""


Type = Text | Number | Flag | Choice | NumberOrText | ListOf | MapOf | Message | YamlText | Anything
