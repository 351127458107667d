# SPDX-License-Identifier: Apache-2.0
"""Reads a directory of configuration, what is not JSON in a process of its own.

The YAML library takes 2 MB of resident memory, and an agent needs it for milliseconds. What roles
write is JSON, which is YAML too; what people write need not be.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mesh_core import apart
from mesh_core.config import Fragments, fragments, is_like_json, read_directory
from mesh_core.errors import ConfigError, MeshError

_SECONDS: Final = 20.0  # less than the watchdog of a service that waits for it


def begin(directory: Path) -> Callable[[], Fragments]:
    """Start what is to be started; what is returned gives the fragments, and is called once.

    It raises what `finish` raises.
    """
    if all(map(_is_like_json, fragments(directory))):
        return functools.partial(read_directory, directory)
    return functools.partial(finish, start(directory))


def start(directory: Path) -> apart.Apart:
    """Start the process that runs `main`."""
    return apart.start("mesh_core.config_reader", str(directory))


def finish(reader: apart.Apart, seconds: float = _SECONDS) -> Fragments:
    """Return what ``reader``, a process that runs `main`, found; ConfigError.

    MeshError when it gives no answer, or none in ``seconds``.
    """
    try:
        written = reader.read(seconds)
    except TimeoutError as error:
        raise MeshError(
            f"the configuration's reader gave no answer in {seconds:g} seconds"
        ) from error
    finally:
        reader.end()
    if not written:
        raise MeshError("the configuration's reader ended before its answer; see the log")
    found: Fragments | tuple[str, str] = pickle.loads(written)  # noqa: S301 - from our own child
    if isinstance(found, tuple):
        raise ConfigError(*found)
    return found


def main() -> None:
    """Write the fragments, or where something is wrong and what."""
    found: Fragments | tuple[str, str]
    try:
        found = read_directory(Path(sys.argv[1]))
    except ConfigError as error:
        found = error.where, error.problem
    with os.fdopen(1, "wb") as stream:
        stream.write(pickle.dumps(found))


def _is_like_json(path: Path) -> bool:
    try:
        return is_like_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return True  # whoever reads it says what is wrong with it
