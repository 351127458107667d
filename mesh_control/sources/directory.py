# SPDX-License-Identifier: Apache-2.0
"""Reading a flat directory of YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mesh_control.objects.problems import Kind, Problem

SUFFIXES = frozenset({".yaml", ".yml", ".json"})

Fingerprint = Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Content:
    """The texts by file name; ``unreadable`` holds the problems of the other files by name."""

    files: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, Problem] = field(default_factory=dict)
    advice: tuple[Problem, ...] = ()


def fingerprint(directory: Path) -> Fingerprint | None:
    """Return what changes when a file does, or None when the directory cannot be read."""
    prints = {}
    try:
        for path in _files(directory):
            try:
                state = path.stat()
            except OSError:
                prints[path.name] = (0, 0, 0)
            else:
                prints[path.name] = (state.st_mtime_ns, state.st_size, state.st_ino)
    except OSError:
        return None
    return prints


def read(directory: Path) -> Content:
    """Read all objects files; OSError when the directory itself cannot be read."""
    files, unreadable = {}, {}
    for path in _files(directory):
        try:
            files[path.name] = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            if path.is_symlink():
                unreadable[path.name] = Problem(path.name, "is a link to nothing")
            # else: removed since it was listed
        except OSError as error:
            message = f"cannot be read: {(error.strerror or str(error)).lower()}"
            unreadable[path.name] = Problem(path.name, message)
        except UnicodeDecodeError as error:
            message = f"expected UTF-8 text, found byte {error.object[error.start]:#x}"
            unreadable[path.name] = Problem(path.name, f"{message} at offset {error.start}")
    advice = tuple(
        Problem(f"{path.name}/", "is a directory; its files are not read", kind=Kind.ADVICE)
        for path in sorted(directory.iterdir())
        if path.is_dir() and not path.name.startswith(".")
    )
    return Content(files, unreadable, advice)


def _files(directory: Path) -> list[Path]:
    """Return the files that count; hidden ones are other programs' temporary files."""
    return [
        path
        for path in sorted(directory.iterdir())
        if path.suffix in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
    ]
