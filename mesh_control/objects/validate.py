# SPDX-License-Identifier: Apache-2.0
"""Plain data against a type: unknown fields, wrong values. Pure; finds all, not the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import yaml

from mesh_control.objects.problems import Finding, Kind, Path, found
from mesh_control.objects.text import plain
from mesh_control.objects.types import (
    Choice,
    Flag,
    ListOf,
    MapOf,
    Message,
    Number,
    NumberOrText,
    Text,
    Type,
    YamlText,
)


def findings(kind: Type, value: object, path: Path) -> Iterator[Finding]:
    """Compare ``value`` with ``kind``; ``path`` is where it stands."""
    match kind:
        case Message():
            yield from _message(kind, value, path)
        case ListOf():
            yield from _list(kind, value, path)
        case MapOf():
            yield from _map(kind, value, path)
        case YamlText():
            yield from _yaml_text(kind, value, path)
        case NumberOrText():
            inner = kind.text if isinstance(value, str) else kind.number
            yield from findings(inner, value, path)
        case Text():
            yield from _text(kind, value, path)
        case Number():
            yield from _number(kind, value, path)
        case Flag():
            if not isinstance(value, bool):
                yield _expected("true or false", value, path)
        case Choice():
            if value not in kind.values:
                yield _choice(kind.values, value, path)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?``, or what there is when nothing is close."""
    names = sorted(known)
    lower = {name.lower(): name for name in names}
    plain = word.lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(plain, lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; expected one of {', '.join(names)}" if names else ""


def _message(kind: Message, value: object, path: Path) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _expected("a mapping", value, path)
        return
    for name, item in value.items():
        if name in kind.fields:
            yield from findings(kind.fields[name], item, (*path, name))
        else:
            hint = suggestion(name, kind.fields)
            yield Finding((*path, name), f"unknown field{hint}", Kind.UNKNOWN)
    for name in kind.required:
        if name not in value:
            yield Finding((*path, name), "is required")
    for group in kind.one_of:
        given = [name for name in group if name in value]
        if len(given) > 1:
            yield Finding(path, f"expected only one of {', '.join(group)}, found {_and(given)}")


def _list(kind: ListOf, value: object, path: Path) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield _expected("a list", value, path)
        return
    if len(value) < kind.at_least:
        yield Finding(path, f"expected at least {kind.at_least} item, found {len(value)}")
    if kind.at_most is not None and len(value) > kind.at_most:
        yield Finding(path, f"expected at most {kind.at_most} items, found {len(value)}")
    for index, item in enumerate(value):
        yield from findings(kind.item, item, (*path, index))


def _map(kind: MapOf, value: object, path: Path) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield _expected("a mapping", value, path)
        return
    if kind.at_most is not None and len(value) > kind.at_most:
        yield Finding(path, f"expected at most {kind.at_most} keys, found {len(value)}")
    for name, item in value.items():
        if kind.key.test and not kind.key.test(name):
            yield Finding((*path, name), f"expected {kind.key.label} as key, found {name!r}")
        yield from findings(kind.value, item, (*path, name))


def _yaml_text(kind: YamlText, value: object, path: Path) -> Iterator[Finding]:
    if not isinstance(value, str):
        yield _expected("a YAML text (write it after '|')", value, path)
        return
    try:
        data = plain(value)
    except yaml.YAMLError as error:
        yield Finding(path, f"not valid YAML: {getattr(error, 'problem', None) or error}")
        return
    yield from findings(kind.content, data, path)


def _text(kind: Text, value: object, path: Path) -> Iterator[Finding]:
    if isinstance(value, str):
        if kind.test and not kind.test(value):
            yield _expected(kind.label, value, path)
    elif isinstance(value, (bool, int, float)):
        yield Finding(path, f"expected {kind.label}, found {found(value)}; put it in quotes")
    else:
        yield _expected(kind.label, value, path)


def _number(kind: Number, value: object, path: Path) -> Iterator[Finding]:
    label = kind.label or ("an integer" if kind.integer else "a number")
    wanted = int if kind.integer else (int, float)
    if not isinstance(value, wanted) or isinstance(value, bool):
        quoted = isinstance(value, str) and value.lstrip("-").isdecimal()
        hint = "; write it without quotes" if quoted else ""
        yield Finding(path, f"expected {label}, found {found(value)}{hint}")
        return
    if (kind.minimum is not None and value < kind.minimum) or (
        kind.maximum is not None and value > kind.maximum
    ):
        bounds = "" if kind.label else f" {_bounds(kind)}"
        yield Finding(path, f"expected {label}{bounds}, found {value}")


def _bounds(kind: Number) -> str:
    if kind.maximum is None:
        return f"of at least {kind.minimum:g}"
    if kind.minimum is None:
        return f"of at most {kind.maximum:g}"
    return f"from {kind.minimum:.0f} to {kind.maximum:.0f}"


def _choice(values: tuple[str, ...], value: object, path: Path) -> Finding:
    hint = ""
    if isinstance(value, str):
        lower = {word.lower(): word for word in values}
        close = difflib.get_close_matches(value.lower(), lower, n=1)
        hint = f"; did you mean {lower[close[0]]}?" if close else ""
    return Finding(path, f"expected one of {', '.join(values)}, found {found(value)}{hint}")


def _expected(label: str, value: object, path: Path) -> Finding:
    return Finding(path, f"expected {label}, found {found(value)}")


def _and(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
