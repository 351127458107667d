# SPDX-License-Identifier: Apache-2.0
"""The same programs as their projects release them, for those who would rather not build.

The versions are those of the go.mod files. Istio's there is a state between two releases: the
release taken is the one of its API, which go.mod names.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lab.errors import LabError
from lab.tools.catalog import DEFINITION, Program, pinned

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_TIMEOUT_SECONDS = 60.0
_CHUNK = 1 << 20
_SHA256 = re.compile(r"^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the projects publish.

    Istio's files are to leave their old place, a bucket at Google, which ends with 1.30.
    """

    kubernetes: str = "https://dl.k8s.io/release"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"
    coredns: str = "https://github.com/coredns/coredns/releases/download"
    istio: str = "https://blob.istio.io/istio-release/releases"
    # Not published as a file: it is taken out of the image, whose digest podman checks.
    istiod: str = "docker.io/istio/pilot"


@dataclass(frozen=True, slots=True)
class Asset:
    """One published file.

    `checksum` is a page with its SHA-256, alone or in lines `SHA256 NAME`. `member` is the path of
    the program in it, if it is an archive: a tar, or a Debian package.
    """

    url: str
    checksum: str
    member: str | None = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


@dataclass(frozen=True, slots=True)
class Image:
    """A program in a container image."""

    reference: str
    member: str


def origin(
    program: Program,
    *,
    machine: str | None = None,
    places: Places | None = None,
    definition: Path = DEFINITION,
) -> Asset | Image:
    """Where `program` is published; LabError for a machine that nobody publishes for.

    | programs                 | from                                     | checked by          |
    |--------------------------|------------------------------------------|---------------------|
    | kube-*, kubectl, kubelet | Kubernetes' downloads, one file each     | NAME.sha256         |
    | etcd                     | etcd's release, a tar                    | SHA256SUMS          |
    | coredns                  | CoreDNS's release, a tar (all plugins)   | NAME.sha256         |
    | istioctl, pilot-agent    | Istio's release: a tar, a Debian package | NAME.sha256         |
    | istiod                   | Istio's image `pilot`, by podman         | the image's digests |
    """
    places = places or Places()
    architecture = _architecture(machine or platform.machine())
    match program.module, program.name:
        case "kubernetes", name:
            version = pinned("k8s.io/kubernetes", "kubernetes", definition)
            url = f"{places.kubernetes}/{version}/bin/linux/{architecture}/{name}"
            return Asset(url, f"{url}.sha256")
        case "etcd", _:
            version = pinned("go.etcd.io/etcd/server/v3", "etcd", definition)
            stem = f"etcd-{version}-linux-{architecture}"
            base = f"{places.etcd}/{version}"
            return Asset(f"{base}/{stem}.tar.gz", f"{base}/SHA256SUMS", f"{stem}/etcd")
        case "coredns", _:
            version = pinned("github.com/coredns/coredns", "coredns", definition)
            number = version.removeprefix("v")
            url = f"{places.coredns}/{version}/coredns_{number}_linux_{architecture}.tgz"
            return Asset(url, f"{url}.sha256", "coredns")
    number = _istio_release(definition)
    match program.name:
        case "istioctl":
            url = f"{places.istio}/{number}/istioctl-{number}-linux-{architecture}.tar.gz"
            return Asset(url, f"{url}.sha256", "istioctl")
        case "pilot-agent":
            suffix = "" if architecture == "amd64" else f"-{architecture}"
            url = f"{places.istio}/{number}/deb/istio-sidecar{suffix}.deb"
            return Asset(url, f"{url}.sha256", "./usr/local/bin/pilot-agent")
        case _:
            return Image(f"{places.istiod}:{number}", "/usr/local/bin/pilot-discovery")


def download(program: Program, directory: Path, *, source: Asset | Image | None = None) -> None:
    """Bring one program into `directory`: it is there as a whole, and checked, or not at all."""
    source = source or origin(program)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as place:
        made = Path(place) / "program"
        if isinstance(source, Image):
            _from_image(source, made)
        else:
            _from_file(source, Path(place), made)
        made.chmod(0o755)
        made.replace(directory / program.name)


def _architecture(machine: str) -> str:
    if machine not in _MACHINES:
        raise LabError(f"no releases for {machine}, only for {', '.join(_MACHINES)}: build them")
    return _MACHINES[machine]


def _istio_release(definition: Path) -> str:
    file = definition / "istio" / "go.mod"
    found = re.search(r"istio\.io/api => istio\.io/api v([\d.]+)\s", file.read_text())
    if found is None:
        raise LabError(f"{file}: replaces istio.io/api by no released version")
    return found[1]


def _from_file(source: Asset, place: Path, made: Path) -> None:
    archive = place / source.name
    found = _fetch(source.url, archive)
    expected = _expected(source)
    if found != expected:
        raise LabError(
            f"{source.url}: its SHA-256 is {found}, but {source.checksum} says {expected}"
        )
    if source.member is None:
        archive.rename(made)
    elif source.name.endswith(".deb"):
        _from_package(archive, source.member, made)
    else:
        with tarfile.open(archive) as tar:
            _extract(tar, source.member, made, source.url)


def _expected(source: Asset) -> str:
    text = _open(source.checksum).read(_CHUNK).decode(errors="replace")
    for digest, name in _SHA256.findall(text):
        if name in ("", source.name):
            return str(digest)
    raise LabError(f"{source.checksum}: no SHA-256 of {source.name}")


def _fetch(url: str, target: Path) -> str:
    """Save what `url` gives; returns its SHA-256."""
    digest = hashlib.sha256()
    with _open(url) as answer, target.open("wb") as output:
        while chunk := answer.read(_CHUNK):
            digest.update(chunk)
            output.write(chunk)
    return digest.hexdigest()


def _open(url: str) -> IO[bytes]:
    try:
        answer: IO[bytes] = urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS)  # noqa: S310
    except OSError as error:
        raise LabError(f"{url}: {error}") from error
    return answer


def _extract(tar: tarfile.TarFile, member: str, made: Path, where: str) -> None:
    try:
        content = tar.extractfile(member)
    except KeyError:
        content = None
    if content is None:
        raise LabError(f"{where}: holds no file {member}")
    with content, made.open("wb") as output:
        shutil.copyfileobj(content, output, _CHUNK)


def _from_package(package: Path, member: str, made: Path) -> None:
    files = package.with_suffix(".tar")
    _run(["dpkg-deb", "--fsys-tarfile", str(package)], files)
    with tarfile.open(files) as tar:
        _extract(tar, member, made, package.name)


def _from_image(source: Image, made: Path) -> None:
    container = _run(["podman", "create", "--quiet", source.reference]).strip()
    try:
        _run(["podman", "cp", f"{container}:{source.member}", str(made)])
    finally:
        _run(["podman", "rm", "--volumes", container])


def _run(command: list[str], output: Path | None = None) -> str:
    """Run a command, its output into a file or returned; LabError with its complaint."""
    with (output or Path(os.devnull)).open("wb") as file:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file if output else subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=900,
                check=False,
            )
        except FileNotFoundError as error:
            raise LabError(f"{command[0]} is not installed") from error
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return "" if output else done.stdout.decode()
