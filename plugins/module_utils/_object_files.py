# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""A directory of object files as one unit: what would change, and changing it.

The names that are ours stand in a manifest in the directory itself, so a file that disappears from
the inventory disappears from the host, and a file that someone else put there stays.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t
from dataclasses import dataclass

MANIFEST = ".hybrid-mesh-managed.json"
_SUFFIXES = (".yaml", ".yml")


class ObjectFilesError(Exception):
    """The wanted files, or the directory, are not as they must be; the text is for the user."""


@dataclass(frozen=True)
class Change:
    """One file before and after; None where it does not exist."""

    name: str
    before: str | None
    after: str | None


def check_names(names: t.Iterable[str]) -> None:
    """Raise ObjectFilesError for a name that is not a plain, visible YAML file name."""
    for name in names:
        if os.path.basename(name) != name or name.startswith(".") or not name.endswith(_SUFFIXES):
            raise ObjectFilesError(
                f"objects: {name!r}: expected a file name that ends in .yaml or .yml, "
                "without a directory"
            )


def owned(directory: str) -> list[str]:
    """Names that an earlier run wrote. Raises ObjectFilesError for a manifest that is not one."""
    path = os.path.join(directory, MANIFEST)
    text = read(path)
    if text is None:
        return []
    try:
        names = json.loads(text)["files"]
        check_names(names)
    except (ValueError, KeyError, TypeError, ObjectFilesError) as exc:
        raise ObjectFilesError(
            f'{path}: expected a list of file names under "files" ({exc}); '
            "remove the file to have every file of the directory left alone from now on"
        ) from exc
    return list(names)


def read(path: str) -> str | None:
    """Content of a text file, None when there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise ObjectFilesError(f"{path} cannot be read: {exc}") from exc


def plan(directory: str, wanted: t.Mapping[str, str], prune: bool) -> list[Change]:
    """Changes that make the directory hold ``wanted``, in the order of the names."""
    after: dict[str, str | None] = {}
    if prune:
        after.update(dict.fromkeys(owned(directory)))
    after.update(wanted)
    changes = [
        Change(name, read(os.path.join(directory, name)), content)
        for name, content in sorted(after.items())
    ]
    return [change for change in changes if change.before != change.after]


def manifest(directory: str, wanted: t.Mapping[str, str], prune: bool) -> str:
    """The manifest's text once ``wanted`` is there."""
    names = set(wanted) if prune else set(wanted) | set(owned(directory))
    return json.dumps({"files": sorted(names)}, indent=2) + "\n"


def stage(directory: str, changes: t.Iterable[Change], into: str) -> str:
    """Copy the directory's visible files, changed, below ``into``; return the copy's path."""
    staged = os.path.join(into, "objects")
    if os.path.isdir(directory):
        hidden = shutil.ignore_patterns(".*")
        shutil.copytree(directory, staged, symlinks=True, ignore=hidden)
    else:
        os.makedirs(staged)
    for change in changes:
        path = os.path.join(staged, change.name)
        if change.after is None:
            os.unlink(path)
        else:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(change.after)
    return staged


def replace(directory: str, changes: t.Sequence[Change], new_manifest: str) -> None:
    """Make the changes: all new content is on disk before the first name changes.

    Each name changes atomically, and what is written comes before what goes, so that a reader never
    meets half a file, and the time between two names is a few microseconds.
    """
    mode_of = {c.name: _mode(os.path.join(directory, c.name)) for c in changes}
    with tempfile.TemporaryDirectory(dir=directory, prefix=".hybrid-mesh-") as work:
        for change in changes:
            if change.after is not None:
                _write(os.path.join(work, change.name), change.after, mode_of[change.name])
        _write(os.path.join(work, MANIFEST), new_manifest, 0o644)
        for change in changes:
            if change.after is not None:
                os.replace(os.path.join(work, change.name), os.path.join(directory, change.name))
        for change in changes:
            if change.after is None:
                os.unlink(os.path.join(directory, change.name))
        os.replace(os.path.join(work, MANIFEST), os.path.join(directory, MANIFEST))


def _mode(path: str) -> int:
    """Permissions to keep, or those of a new file: the objects are policy, not secrets."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return 0o644


def _write(path: str, content: str, mode: int) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
