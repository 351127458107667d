# SPDX-License-Identifier: Apache-2.0
"""The join token: a file that is delivered once, used once and removed."""

from __future__ import annotations

from pathlib import Path

from mesh_agent.identity.model import IdentityError


class JoinToken:
    """The token in ``path``. It is read for each attempt, so a new one needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Return the token; IdentityError says why there is none."""
        try:
            text = self._path.read_text(encoding="ascii").strip()
        except FileNotFoundError as error:
            raise IdentityError(
                f"no join token in {self._path}: deliver one with site.yml or rejoin.yml"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise IdentityError(f"the join token cannot be read: {error}") from error
        if not text:
            raise IdentityError(f"the join token in {self._path} is empty")
        return text

    def present(self) -> bool:
        """Whether there is a token to try."""
        try:
            return bool(self.read())
        except IdentityError:
            return False

    def version(self) -> tuple[int, int] | None:
        """Return something that changes when another token is delivered; None without one."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def remove(self) -> None:
        """Remove it after its use; one that is already gone is fine."""
        self._path.unlink(missing_ok=True)
