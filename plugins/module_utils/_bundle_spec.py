# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""What a bundle is made of, and the name that follows from it.

The name carries a digest of every input, so it is known without building anything: a host that has
the directory needs no archive, and two controllers that see the same inputs mean the same bundle.
"""

from __future__ import annotations

import hashlib
import json
import os
import typing as t
from dataclasses import asdict, dataclass

# Part of the digest: raise it when the same inputs begin to give another layout.
FORMAT = 1

_IGNORED_DIRECTORIES = frozenset({"__pycache__"})
_IGNORED_SUFFIXES = (".pyc", ".pyo")


class BundleError(Exception):
    """A bundle cannot be described or built; the text is for the user."""


@dataclass(frozen=True)
class Program:
    """``bin/<name>``, which calls ``entry_point`` (``package.module:function``)."""

    name: str
    entry_point: str


@dataclass(frozen=True)
class Target:
    """The hosts that a bundle is for; ``python`` and ``glibc`` are ``MAJOR.MINOR``."""

    python: str
    architecture: str
    glibc: str

    @property
    def platforms(self) -> list[str]:
        """Wheel platform tags that such a host runs, newest first (PEP 600 and its ancestors)."""
        major, minor = version_pair(self.glibc, "glibc")
        tags = [f"manylinux_{major}_{m}_{self.architecture}" for m in range(minor, 4, -1)]
        legacy = (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5))
        tags += [f"{name}_{self.architecture}" for name, oldest in legacy if minor >= oldest]
        return tags


@dataclass(frozen=True)
class BundleSpec:
    """Everything that decides a bundle's content.

    ``requirements`` is the path of a pip requirements file, ``sources`` are package directories,
    ``library`` is the directory of the packages within the bundle ("" for its top).
    """

    name: str
    version: str
    requirements: str
    target: Target
    interpreter: str
    library: str = "lib"
    sources: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()

    def digest(self) -> str:
        """Hex SHA-256 over every input, contents included."""
        described = asdict(self)
        described["format"] = FORMAT
        described["requirements"] = _requirement_lines(self.requirements)
        described["sources"] = {
            os.path.basename(source): {path: _file_digest(full) for path, full in files(source)}
            for source in self.sources
        }
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def directory(self) -> str:
        """Name of the directory on a host, also the archive's top: ``<version>-<hash12>``."""
        return f"{self.version}-{self.digest()[:12]}"


def version_pair(text: str, what: str) -> tuple[int, int]:
    """``"2.36"`` -> ``(2, 36)``; further parts are dropped. Raises BundleError naming ``what``."""
    parts = text.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        raise BundleError(f"{what}: expected a version such as 2.36, found {text!r}")
    return int(parts[0]), int(parts[1])


def files(source: str) -> list[tuple[str, str]]:
    """``(path within the package, full path)`` of a package's files, sorted, without byte code."""
    if not os.path.isdir(source):
        raise BundleError(f"sources: {source} is not a directory")
    found: list[tuple[str, str]] = []
    for top, directories, names in os.walk(source):
        directories[:] = sorted(d for d in directories if d not in _IGNORED_DIRECTORIES)
        for name in names:
            if not name.endswith(_IGNORED_SUFFIXES):
                full = os.path.join(top, name)
                found.append((os.path.relpath(full, source), full))
    return sorted(found)


def _requirement_lines(path: str) -> list[str]:
    """Lines that mean something to pip: a changed comment gives no new bundle."""
    try:
        with open(path, encoding="utf-8") as stream:
            lines = [line.split(" #")[0].strip() for line in stream]
    except OSError as exc:
        raise BundleError(f"requirements: {path} cannot be read: {exc.strerror}") from exc
    return [line for line in lines if line and not line.startswith("#")]


def _file_digest(path: str) -> str:
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def sha256(path: str) -> str:
    """Hex SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in _chunks(stream):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(stream: t.BinaryIO) -> t.Iterator[bytes]:
    return iter(lambda: stream.read(1 << 20), b"")
