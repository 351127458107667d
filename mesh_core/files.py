# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there: written beside, synced, renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def write_atomic(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Replace ``path`` with ``data``; a crash leaves the old or the new file, never a part.

    The file has ``mode`` from its first byte on. Raises OSError.
    """
    temporary = _beside(path)
    try:
        _write_new(temporary, data, mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def write_directory(path: Path, files: Mapping[str, tuple[bytes | str, int]]) -> None:
    """Make a private directory with files, name to content and mode; OSError.

    It is safe on disk on return, and in use only once somebody refers to it.
    """
    path.mkdir(mode=0o700)
    try:
        for name, (data, mode) in files.items():
            _write_new(path / name, data, mode)
        _sync_directory(path)
    except BaseException:
        import shutil  # seldom needed

        shutil.rmtree(path, ignore_errors=True)
        raise


def replace_link(link: Path, target: str) -> None:
    """Point the symbolic link at ``target`` in one step."""
    temporary = _beside(link)
    temporary.symlink_to(target)
    temporary.replace(link)
    _sync_directory(link.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}")


def _write_new(path: Path, data: bytes | str, mode: int) -> None:
    content = data.encode() if isinstance(data, str) else data
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    """Make a rename in ``path`` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
