# SPDX-License-Identifier: Apache-2.0
"""YAML to typed dataclasses, with errors that name the file and the path in it.

load_yaml            one document, duplicate keys refused
load_yaml_documents  a stream of documents
parse                plain data -> dataclass tree, nothing unknown, nothing coerced
load_directory       fragments in a directory, each top-level key owned by one file
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from mesh_core.errors import ConfigError

T = TypeVar("T")

_COMMENTS = re.compile(r"(?:#[^\n]*\n)*")


def load_yaml(path: Path) -> object:
    """Return the one document of ``path``; ConfigError when it cannot be read or parsed."""
    documents = load_yaml_documents(path)
    if len(documents) > 1:
        raise ConfigError(str(path), f"expected one document, found {len(documents)}")
    return documents[0] if documents else None


def load_yaml_documents(path: Path) -> list[object]:
    """Return all documents of ``path``, empty ones left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"expected UTF-8 text: {error}") from error
    return yaml_documents(text, str(path))


def yaml_documents(text: str, where: str) -> list[object]:
    """Return the documents of a YAML text; ConfigError names ``where`` and the line."""
    if is_like_json(text):
        with contextlib.suppress(
            ValueError, RecursionError
        ):  # the YAML library says what and where
            below = text[_comments(text) :]
            return [json.loads(below, object_pairs_hook=_mapping, parse_constant=_constant)]
    from mesh_core.yaml_text import documents  # 2 MB of a process that stays

    return documents(text, where)


def is_like_json(text: str) -> bool:
    """Whether it may be JSON, which is YAML too and read without the YAML library.

    Lines before it that begin with ``#`` are comments, as in all YAML.
    """
    return text.startswith("{", _comments(text))


def _comments(text: str) -> int:
    """Return where the comments before all else end."""
    found = _COMMENTS.match(text)
    return found.end() if found else 0


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Join what JSON gives; the YAML library says which key is given twice, and where."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Fragments:
    """The merged top-level keys of a directory's files, and the file that each is from."""

    directory: str
    values: dict[str, object]
    owners: dict[str, str]

    def parse(self, cls: type[T]) -> T:
        """Turn them into the dataclass ``cls``; ConfigError at the first thing that is wrong."""
        return _dataclass(cls, self.values, self.directory, self.owners)


def load_directory(cls: type[T], directory: Path) -> T:
    """Merge the ``*.yaml`` fragments of ``directory`` and parse them as ``cls``.

    A top-level key may stand in one file only, so that one role owns it.
    """
    return read_directory(directory).parse(cls)


def fragments(directory: Path) -> list[Path]:
    """Return the files that `read_directory` reads, in its order."""
    return sorted(directory.glob("*.yaml"))


def read_directory(directory: Path) -> Fragments:
    """Merge the ``*.yaml`` fragments of ``directory``; ConfigError."""
    if not directory.is_dir():
        raise ConfigError(str(directory), "expected a directory of *.yaml files")
    found = Fragments(str(directory), {}, {})
    for path in fragments(directory):
        fragment = load_yaml(path)
        if fragment is None:
            continue
        if not isinstance(fragment, dict):
            raise ConfigError(str(path), f"expected a mapping, found {_kind(fragment)}")
        for key, value in fragment.items():
            if key in found.owners:
                raise ConfigError(str(path), f"{key}: already given in {found.owners[key]}")
            found.owners[str(key)] = str(path)
            found.values[str(key)] = value
    return found


def parse(cls: type[T], data: object, where: str) -> T:
    """Turn plain data into the dataclass ``cls``; ConfigError at the first thing that is wrong."""
    return _dataclass(cls, data, where, {})


def _dataclass(cls: type[T], data: object, where: str, owners: Mapping[str, str]) -> T:
    if not isinstance(data, Mapping):
        raise ConfigError(where, f"expected a mapping, found {_kind(data)}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}
    for key in data:
        if key not in fields:
            import difflib

            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {close[0]}?" if close else f"expected one of {_names(fields)}"
            raise ConfigError(_join(owners.get(str(key), where), str(key)), f"unknown key; {hint}")
    values: dict[str, object] = {}
    for name, field in fields.items():
        place = _join(owners.get(name, where), name)
        if name in data:
            values[name] = _value(hints[name], data[name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(place, "is required")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(where, str(error)) from error


def _value(hint: Any, data: object, where: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None and type(None) in arguments:
            return None
        members = [a for a in arguments if a is not type(None)]
        if len(members) != 1:
            raise TypeError(f"{where}: unions other than optional ones are not supported: {hint}")
        return _value(members[0], data, where)
    if origin is Literal:
        if data not in arguments:
            raise ConfigError(where, f"expected {_names(arguments)}, found {data!r}")
        return data
    if origin in (list, tuple, Sequence):
        if not isinstance(data, list):
            raise ConfigError(where, f"expected a list, found {_kind(data)}")
        items = [_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data)]
        return items if origin is list else tuple(items)
    if origin in (dict, Mapping):
        if not isinstance(data, dict):
            raise ConfigError(where, f"expected a mapping, found {_kind(data)}")
        return {
            str(_value(arguments[0], key, where)): _value(arguments[1], item, _join(where, key))
            for key, item in data.items()
        }
    if dataclasses.is_dataclass(hint):
        return _dataclass(typing.cast(Any, hint), data, where, {})
    return _scalar(hint, data, where)


def _scalar(hint: Any, data: object, where: str) -> object:
    if hint in (object, Any):
        return data
    if hint is Path and isinstance(data, str):
        return Path(data)
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, bool) and hint is not bool:
        raise ConfigError(where, f"expected {_label(hint)}, found {_kind(data)}")
    if isinstance(hint, type) and isinstance(data, hint):
        return data
    raise ConfigError(where, f"expected {_label(hint)}, found {_kind(data)}")


def _label(hint: Any) -> str:
    return {
        str: "a string",
        int: "an integer",
        float: "a number",
        bool: "true or false",
        Path: "a path",
    }.get(hint, getattr(hint, "__name__", str(hint)))


def _kind(data: object) -> str:
    if data is None:
        return "nothing"
    if isinstance(data, (str, int, float, bool)):
        return repr(data)
    return "a mapping" if isinstance(data, dict) else "a list"


def _names(values: object) -> str:
    return ", ".join(str(v) for v in typing.cast(Any, values))


def _join(where: str, key: object) -> str:
    """``file`` + ``a`` -> ``file: a``; ``file: a`` + ``b`` -> ``file: a.b``."""
    return f"{where}.{key}" if ": " in where else f"{where}: {key}"
