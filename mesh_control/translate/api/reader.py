# SPDX-License-Identifier: Apache-2.0
"""Plain data of an object -> the typed subset of Istio's API that is translated.

A field ``retry_on`` is the key ``retryOn``; a trailing underscore (``from_``) is dropped. Keys that
no dataclass here knows are left alone: saying that a field is not supported is the validation's
work, with the table that `paths` makes from the same dataclasses. A class that is `Strict` refuses
them, because half of it would mean something else. Values are checked here, as only the
translation knows what it can make of them.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from mesh_control.translate.api.values import Cidr, Regex, parse_duration
from mesh_core.errors import ConfigError

T = TypeVar("T")

_PARSERS: Mapping[type, Callable[[str], object]] = {
    timedelta: parse_duration,
    Cidr: Cidr.parse,
    Regex: Regex.parse,
}
_LABELS: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
}


class Strict:
    """Base of dataclasses that are all or nothing: keys unknown here are refused."""

    __slots__ = ()


def read(cls: type[T], data: object, where: str) -> T:
    """Return ``data`` as ``cls``.

    Raises:
        ConfigError: names ``where`` and the path in it, what was found and what was expected.
    """
    return typing.cast(T, _value(cls, data, where))


def paths(cls: type[Any], prefix: str = "") -> Iterator[str]:
    """Yield the paths of all fields that ``cls`` reads: ``a.b``, ``list[].c``, ``map.*.d``.

    Of a field with a choice, one for each value that is understood: ``tls.mode=DISABLE``.
    """
    for field, hint in _fields(cls):
        yield from _leaves(hint, f"{prefix}.{_key(field)}" if prefix else _key(field))


def _leaves(hint: Any, path: str) -> Iterator[str]:
    hint = _without_none(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        yield from _leaves(arguments[0], path + "[]")
    elif origin is Mapping:
        yield from _leaves(arguments[1], path + ".*")
    elif dataclasses.is_dataclass(hint) and hint not in _PARSERS:
        yield from paths(typing.cast(type, hint), path)
    elif issubclass(hint, StrEnum):
        yield from (f"{path}={value}" for value in hint)
    else:
        yield path


def _value(hint: Any, data: object, where: str) -> object:
    hint = _without_none(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(data, list | tuple):
            raise ConfigError(where, f"expected a list, found {_found(data)}")
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if origin is Mapping:
        if not isinstance(data, Mapping):
            raise ConfigError(where, f"expected a mapping, found {_found(data)}")
        return {
            _map_key(arguments[0], key, where): _value(arguments[1], item, _join(where, str(key)))
            for key, item in data.items()
        }
    if hint in _PARSERS:
        return _parsed(_PARSERS[hint], data, where)
    if dataclasses.is_dataclass(hint):
        return _object(typing.cast(type, hint), data, where)
    return _scalar(hint, data, where)


def _object(cls: type[Any], data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise ConfigError(where, f"expected a mapping, found {_found(data)}")
    fields = _fields(cls)
    if issubclass(cls, Strict):
        for key in data:
            if key not in {_key(field) for field, _unused in fields}:
                raise ConfigError(_join(where, str(key)), "is not supported yet")
    values: dict[str, object] = {}
    for field, hint in fields:
        key = _key(field)
        if data.get(key) is not None:
            values[field.name] = _value(hint, data[key], _join(where, key))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(_join(where, key), "is required")
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(where, str(error)) from error


def _scalar(hint: type, data: object, where: str) -> object:
    if issubclass(hint, StrEnum):
        if data not in list(hint):
            names = ", ".join(hint)
            raise ConfigError(where, f"expected one of {names}, found {_found(data)}")
        return hint(str(data))
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(data, hint) and not (hint is not bool and isinstance(data, bool)):
        return data
    raise ConfigError(where, f"expected {_LABELS[hint]}, found {_found(data)}")


def _parsed(parse: Callable[[str], object], data: object, where: str) -> object:
    try:
        return parse(str(data))
    except ValueError as error:
        raise ConfigError(where, f"expected {error}, found {_found(data)}") from error


def _map_key(hint: type, key: object, where: str) -> str | int:
    if hint is str:
        return str(key)
    try:
        return int(str(key))
    except ValueError as error:
        raise ConfigError(where, f"expected integers as keys, found {key!r}") from error


def _fields(cls: type[Any]) -> list[tuple[dataclasses.Field[Any], Any]]:
    return _fields_of(typing.cast(Hashable, cls))


@functools.cache  # a fact about the class; working it out is most of the time of reading
def _fields_of(cls: Any) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(cls)
    return [(field, hints[field.name]) for field in dataclasses.fields(cls)]


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
    return hint


def _key(field: dataclasses.Field[Any]) -> str:
    first, *others = field.name.rstrip("_").split("_")
    return first + "".join(word[0].upper() + word[1:] for word in others)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if ": " in where else f"{where}: {key}"


def _found(data: object) -> str:
    if data is None:
        return "nothing"
    if isinstance(data, str | int | float | bool):
        return repr(data)
    return "a mapping" if isinstance(data, Mapping) else "a list"
