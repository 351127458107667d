# SPDX-License-Identifier: Apache-2.0
"""dnsmasq, unbound and dnsperf: the host's own, or Debian's packages unpacked in a cache.

They are not installed, so no service of theirs is ever enabled or started.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from lab.errors import LabError

_PACKAGES = {"dnsmasq": "dnsmasq-base", "unbound": "unbound", "dnsperf": "dnsperf"}
_SECONDS = 180


def cache() -> Path:
    """Where they are unpacked."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "hybrid-mesh" / "bench"


def fetch() -> None:
    """Have them all; LabError where Debian's packages cannot be had."""
    missing = [package for name, package in _PACKAGES.items() if _find(name) is None]
    if not missing:
        return
    install = ["apt-get", "install", "--print-uris", "-qq", "--yes", "--no-install-recommends"]
    wanted = re.findall(r"^'[^']*' ([^_]+)_", _run([*install, *missing]), re.MULTILINE)
    archives = cache() / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    _run(["apt-get", "download", "-qq", *wanted], archives)
    for archive in sorted(archives.glob("*.deb")):
        _run(["dpkg", "--extract", str(archive), str(cache() / "root")])
        archive.unlink()


def program(name: str) -> str:
    """The path of one of them."""
    if (path := _find(name)) is None:
        raise LabError(f"{name}: not there; expected Debian's package {_PACKAGES[name]}")
    return path


def environment() -> dict[str, str]:
    """With the libraries that came along."""
    libraries = cache() / "root" / "usr" / "lib"
    found = {str(path.parent) for path in libraries.rglob("*.so.*")} if libraries.exists() else ()
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(sorted(found))}


def _find(name: str) -> str | None:
    places = [cache() / "root" / "usr" / part for part in ("sbin", "bin")]
    return shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ["PATH"]]))


def _run(command: list[str], directory: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise LabError(f"{' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout
