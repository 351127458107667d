# SPDX-License-Identifier: Apache-2.0
"""YAML text to plain data, document by document, with the line of every field.

Values are read as Kubernetes reads them: dates and ``12:30`` stay strings, keys become strings.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from mesh_control.objects.problems import Path, Problem

_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+"
    r"|\.(inf|Inf|INF))$|\.(nan|NaN|NAN)$"
)
_TAG = "tag:yaml.org,2002:"


def _resolvers(base: Any) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """YAML 1.1's implicit types without dates and base-60 numbers."""
    replaced = {_TAG + "int": _INT, _TAG + "float": _FLOAT}
    table = copy.deepcopy(base.yaml_implicit_resolvers)
    for first, pairs in table.items():
        table[first] = [
            (tag, replaced.get(tag, pattern)) for tag, pattern in pairs if tag != _TAG + "timestamp"
        ]
    return dict(table)


# The C parser is some ten times faster; the same result.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    yaml_implicit_resolvers = _resolvers(_Base)


@dataclass(frozen=True, slots=True)
class Raw:
    """One document: its data with string keys, and its nodes for line numbers."""

    where: str
    data: object
    node: yaml.Node

    def line(self, path: Path) -> int:
        """Return the line (from 1) of the deepest part of ``path`` that stands in the text."""
        node = self.node
        line: int = node.start_mark.line
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            line, node = child
        return line + 1


def documents(name: str, text: str) -> tuple[list[Raw], list[Problem]]:
    """Split ``text`` into documents; empty ones count for the index and are left out.

    Text that is not YAML, a key given twice and an alias that holds itself are problems; the
    documents before a syntax error are returned.
    """
    raws: list[Raw] = []
    problems: list[Problem] = []
    loader = _Loader(text)
    try:
        index = 0
        while loader.check_node():
            where, node = f"{name}[{index}]", loader.get_node()
            index += 1
            wrong = list(_node_problems(where, node))
            problems += wrong
            if wrong:
                continue
            data = _string_keys(loader.construct_document(node))
            if data is not None:
                raws.append(Raw(where, data, node))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problems.append(Problem(name, f"not valid YAML: {place}{error.problem or error.context}"))
    except (yaml.YAMLError, ValueError) as error:
        problems.append(Problem(name, f"not valid YAML: {error}"))
    finally:
        loader.dispose()
    return raws, problems


def plain(text: str) -> object:
    """Return the one document of ``text``, an empty mapping when it is empty; yaml.YAMLError."""
    data = _string_keys(yaml.load(text, Loader=_Loader))  # noqa: S506 - a safe loader
    return {} if data is None else data


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark.line, value
    return None


def _node_problems(where: str, root: yaml.Node) -> Iterator[Problem]:
    """Walk once through the nodes; aliases are followed once."""
    done: set[int] = set()
    active: set[int] = set()

    def walk(node: yaml.Node) -> Iterator[Problem]:
        if id(node) in active:
            line = node.start_mark.line + 1
            yield Problem(where, "not valid YAML: an alias refers to what holds it", line=line)
        if id(node) in done or id(node) in active:
            return
        active.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    yield Problem(where, "expected a string as key", line=line)
                elif key.value in seen and key.value != "<<":
                    message = f"key {key.value!r} is given twice, first in line {seen[key.value]}"
                    yield Problem(where, message, line=line)
                else:
                    seen[key.value] = line
                yield from walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from walk(item)
        active.discard(id(node))
        done.add(id(node))

    yield from walk(root)


def _string_keys(value: object) -> object:
    """Make every key a string, as JSON has it: ``8080:`` is the key ``"8080"``."""
    if isinstance(value, dict):
        return {_key(key): _string_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_string_keys(item) for item in value]
    return value


def _key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)
