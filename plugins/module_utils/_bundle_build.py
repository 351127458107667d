# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Build a bundle on the controller: wheels, sources, programs and byte code in one archive."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import typing as t

from ansible_collections.hybrid.mesh.plugins.module_utils._bundle_spec import (
    BundleError,
    BundleSpec,
    Program,
    files,
    sha256,
    version_pair,
)

# The archive's last member. A host that has it has everything before it.
MANIFEST = "manifest.json"

_PROGRAM = """\
#!{interpreter} -IS
import os
import sys

bundle = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
sys.path.insert(0, os.path.join(bundle, {library!r}))

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


class Builder:
    """Builds ``spec`` into ``cache``, once, however many processes ask for it."""

    def __init__(self, spec: BundleSpec, cache: str, wheelhouse: str | None = None) -> None:
        self._spec = spec
        self._cache = cache
        self._wheelhouse = wheelhouse
        self.directory = spec.directory()
        self.path = os.path.join(cache, f"{spec.name}-{self.directory}.tar.gz")

    def noted(self) -> str | None:
        """What ``cached`` says of an archive that is whole, without reading it."""
        try:
            with open(f"{self.path}.sha256", encoding="ascii") as stream:
                return stream.read().split()[0] if os.path.exists(self.path) else None
        except (OSError, IndexError):
            return None

    def cached(self) -> str | None:
        """SHA-256 of the archive when it is there and whole, else None."""
        expected = self.noted()
        return expected if expected and sha256(self.path) == expected else None

    def build(self) -> tuple[str, bool]:
        """Make sure of the archive: its SHA-256 and whether this call built it."""
        os.makedirs(self._cache, mode=0o755, exist_ok=True)
        with self._lock():
            digest = self.cached()
            if digest is not None:
                return digest, False
            with tempfile.TemporaryDirectory(dir=self._cache, prefix=".build-") as work:
                return self._build_in(work), True

    @contextlib.contextmanager
    def _lock(self) -> t.Iterator[None]:
        """Held for the time of a build, so that one of many forks builds and the others wait."""
        with open(f"{self.path}.lock", "w", encoding="ascii") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _build_in(self, work: str) -> str:
        tree = os.path.join(work, "tree")
        library = os.path.join(tree, self._spec.library)
        os.makedirs(library)
        _install(self._spec, library, self._wheelhouse)
        # Console scripts of the wheels: they name this machine's interpreter.
        shutil.rmtree(os.path.join(library, "bin"), ignore_errors=True)
        for source in self._spec.sources:
            _copy_source(source, library)
        for program in self._spec.programs:
            _write_program(self._spec, program, tree)
        _compile(self._spec, tree)
        archive = os.path.join(work, "archive.tar.gz")
        _pack(tree, archive, self.directory, _manifest(self._spec))
        digest = sha256(archive)
        # The digest first: an archive without it does not count as cached.
        with open(f"{self.path}.sha256", "w", encoding="ascii") as stream:
            stream.write(f"{digest}  {os.path.basename(self.path)}\n")
        os.replace(archive, self.path)
        return digest


def _install(spec: BundleSpec, library: str, wheelhouse: str | None) -> None:
    """Unpack the wheels of the requirements file, for the target and without resolving anything."""
    command = [*_pip(), "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--target", library, "--requirement", spec.requirements]
    command += ["--no-deps", "--no-compile", "--only-binary", ":all:"]
    command += ["--implementation", "cp", "--python-version", spec.target.python]
    for platform in spec.target.platforms:
        command += ["--platform", platform]
    if wheelhouse is not None:
        command += ["--no-index", "--find-links", wheelhouse]
    environment = dict(os.environ, PIP_ROOT_USER_ACTION="ignore")
    done = _run(command, environment)
    if done.returncode != 0:
        told = (done.stderr or done.stdout).strip()
        where = f"the wheelhouse {wheelhouse}" if wheelhouse else "the package index"
        raise BundleError(
            f"pip found no complete set of wheels in {where} for {spec.requirements}, Python "
            f"{spec.target.python}, {spec.target.architecture}, glibc {spec.target.glibc}: {told}"
        )


def _pip() -> list[str]:
    """How to call pip here: this interpreter's own, or one on the path."""
    own = [sys.executable, "-m", "pip"]
    if _run([*own, "--version"]).returncode == 0:
        return own
    found = shutil.which("pip3") or shutil.which("pip")
    if found is None:
        raise BundleError(
            f"the controller has no pip: neither {sys.executable} -m pip nor pip3 works. "
            "Install it there (Debian: apt-get install python3-pip)"
        )
    return [found]


def _run(
    command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of this machine by its argument list, whatever it answers."""
    return subprocess.run(  # noqa: S603 - no shell, and the program is ours to choose
        command, capture_output=True, text=True, check=False, env=environment
    )


def _copy_source(source: str, library: str) -> None:
    for path, full in files(source):
        target = os.path.join(library, os.path.basename(source), path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(full, target)


def _write_program(spec: BundleSpec, program: Program, tree: str) -> None:
    module, separator, function = program.entry_point.partition(":")
    if not (module and separator and function):
        raise BundleError(
            f"programs: {program.name}: expected an entry point such as package.cli:main, "
            f"found {program.entry_point!r}"
        )
    path = os.path.join(tree, "bin", program.name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(
            _PROGRAM.format(
                interpreter=spec.interpreter, library=spec.library, module=module, function=function
            )
        )
    os.chmod(path, 0o755)  # noqa: S103 - a program, and no secret


def compiler(python: str) -> str | None:
    """An interpreter of this machine that writes byte code for ``python``, if there is one."""
    if version_pair(python, "python") == sys.version_info[:2]:
        return sys.executable
    return shutil.which(f"python{python}")


def _compile(spec: BundleSpec, tree: str) -> None:
    """Byte code that is never checked against its source: a bundle does not change once unpacked.

    Files of a wheel that do not compile (templates, another version's syntax) stay as they are.
    """
    interpreter = compiler(spec.target.python)
    if interpreter is None:
        return
    command = [interpreter, "-I", "-m", "compileall", "-q", "-q", "-j", "0", "-s", tree]
    command += ["--invalidation-mode", "unchecked-hash", tree]
    _run(command)


def _manifest(spec: BundleSpec) -> bytes:
    document = {
        "name": spec.name,
        "version": spec.version,
        "digest": spec.digest(),
        "python": spec.target.python,
        "architecture": spec.target.architecture,
        "glibc": spec.target.glibc,
        "compiled": compiler(spec.target.python) is not None,
    }
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def _pack(tree: str, archive: str, directory: str, manifest: bytes) -> None:
    """One archive with nothing of this machine in it: no names, no owners, no times."""
    with open(os.path.join(tree, MANIFEST), "wb") as stream:
        stream.write(manifest)
    members = [os.path.relpath(path, tree) for path in _walk(tree)]
    members.sort(key=lambda member: (member == MANIFEST, member))
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(open(archive, "wb"))
        zipped = stack.enter_context(gzip.GzipFile("", "wb", 6, raw, mtime=0))
        tar = stack.enter_context(tarfile.open(fileobj=zipped, mode="w"))
        for member in members:
            tar.add(
                os.path.join(tree, member),
                arcname=os.path.normpath(os.path.join(directory, member)),
                recursive=False,
                filter=_anonymous,
            )


def _walk(tree: str) -> t.Iterator[str]:
    for top, _directories, names in os.walk(tree):
        yield top
        for name in names:
            yield os.path.join(top, name)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info
