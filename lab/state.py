# SPDX-License-Identifier: Apache-2.0
"""What a lab keeps in the checkout: a key to its hosts, their host keys, a mark of wholeness."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lab.errors import LabError
from lab.podman import DEFAULT_LAB

ROOT = Path(__file__).parent.parent
# Longer than the longest start, with the image to be built.
LOCK_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class State:
    """The directory of one lab: .lab for the demo, .lab/NAME for any other."""

    directory: Path

    @classmethod
    def of(cls, lab: str, root: Path = ROOT) -> State:
        base = root / ".lab"
        return cls(base if lab == DEFAULT_LAB else base / lab)

    @property
    def key(self) -> Path:
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.directory / "known_hosts"

    @property
    def complete(self) -> Path:
        """The digest of the lab that was started to its end; absent while one is being started."""
        return self.directory / "complete"

    @property
    def administrator(self) -> Path:
        """The kubeconfig of whom the lab's cluster lets do everything, if the lab has one."""
        return self.directory / "cluster" / "admin.kubeconfig"

    @property
    def operator(self) -> Path:
        """The kubeconfig of whom it lets do what the collection needs."""
        return self.directory / "cluster" / "operator.kubeconfig"

    def write_secret(self, path: Path, content: str) -> None:
        """Writes a file for the person who called, and nobody else."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(content)
        self._give_to_invoker(path.parent)
        self._give_to_invoker(path)

    def public_key(self) -> str:
        """The public half of the key, made when there is none yet."""
        public = self.key.with_suffix(".pub")
        if not (self.key.exists() and public.exists()):
            self.directory.mkdir(parents=True, exist_ok=True)
            self.key.unlink(missing_ok=True)
            command = [
                "ssh-keygen",
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                "lab",
                "-f",
                str(self.key),
            ]
            subprocess.run(command, stdin=subprocess.DEVNULL, timeout=30, check=True)
            self._give_to_invoker(self.key)
            self._give_to_invoker(public)
        return public.read_text()

    def remove_kubeconfigs(self) -> None:
        """Removes what leads to a cluster that is no more."""
        for path in (self.administrator, self.operator):
            path.unlink(missing_ok=True)
        if self.operator.parent.exists():
            self.operator.parent.rmdir()

    def remove(self) -> None:
        """Removes what the lab wrote, and directories that are empty then."""
        public = self.key.with_suffix(".pub")
        for path in (self.key, public, self.known_hosts, self.complete):
            path.unlink(missing_ok=True)
        self.remove_kubeconfigs()
        for directory in (self.directory, self.directory.parent):
            if directory.exists() and not any(directory.iterdir()):
                directory.rmdir()

    def _give_to_invoker(self, path: Path) -> None:
        """Through sudo, the person who called may log in to the hosts as well."""
        if "SUDO_UID" in os.environ:
            os.chown(path, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


@contextmanager
def locked(path: Path = Path("/run/lock/hybrid-mesh-lab")) -> Iterator[None]:
    """One start or stop at a time on this machine; LabError if another one takes for ever."""
    with path.open("w") as handle:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _take(handle):
            if time.monotonic() > deadline:
                raise LabError("another lab is being started or stopped for too long")
            time.sleep(1)
        yield


def _take(handle: TextIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
