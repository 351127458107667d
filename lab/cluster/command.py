# SPDX-License-Identifier: Apache-2.0
"""A program with its arguments, to be run as a child or rendered as a systemd unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Command:
    """`argv` begins with the program's path; `environment` holds what is set for it beyond PATH."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def flags(values: Mapping[str, object]) -> tuple[str, ...]:
    """`--name=value` for each entry; booleans in lower case, sequences joined by commas."""
    return tuple(f"--{name}={_text(value)}" for name, value in values.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value)
