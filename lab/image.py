# SPDX-License-Identifier: Apache-2.0
"""The image of a lab host: the directory image/ defines it, and its tag is that one's digest."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.podman import environment, podman
from lab.progress import say, step

DEFINITION = Path(__file__).with_name("image")
REPOSITORY = "localhost/hybrid-mesh-lab"
SUITE = "bookworm"
# What no host of a lab needs, and the care for a disk that may lose power at any moment.
DPKG_OPTIONS = (
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
    "force-unsafe-io",
)


def tag(definition: Path = DEFINITION, repository: str = REPOSITORY) -> str:
    """The image's name. It changes with every name, mode and byte that the image is made from."""
    digest = hashlib.sha256(" ".join((SUITE, *DPKG_OPTIONS)).encode())
    for path in sorted(p for p in definition.rglob("*") if p.is_file()):
        executable = bool(path.stat().st_mode & 0o100)
        digest.update(f"\0{path.relative_to(definition)}\0{executable}\0".encode())
        digest.update(path.read_bytes())
    return f"{repository}:{digest.hexdigest()[:12]}"


def packages(definition: Path = DEFINITION) -> list[str]:
    """The packages that the definition asks for."""
    lines = (definition / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def mmdebstrap_arguments(target: Path, definition: Path = DEFINITION) -> list[str]:
    """The command that builds the root file system as a tar archive at `target`."""
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f"--include={','.join(packages(definition))}",
        f'--customize-hook={definition / "customize.sh"} "$1"',
        SUITE,
        str(target),
    ]


def ensure(cache: Path, definition: Path = DEFINITION, repository: str = REPOSITORY) -> str:
    """Builds the image unless it exists; gives its name. `cache` takes the archive and the log."""
    image = tag(definition, repository)
    if podman("images", "--quiet", image):
        say(f"image {image} is there")
        return image
    cache.mkdir(parents=True, exist_ok=True)
    name = repository.rpartition("/")[2]
    archive, log = cache / f"{name}.tar", cache / f"{name}.log"
    count = len(packages(definition))
    try:
        with step(f"build {repository} from {count} packages (a minute or so; log: {log})"):
            _build(archive, log, definition)
        with step(f"import it as {image}"):
            podman("import", "--change", 'CMD ["/sbin/init"]', str(archive), image, timeout=300)
    finally:
        archive.unlink(missing_ok=True)
    _remove_older(image, repository)
    return image


def _build(archive: Path, log: Path, definition: Path) -> None:
    try:
        with log.open("wb") as output:
            subprocess.run(
                mmdebstrap_arguments(archive, definition),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=900,
                check=True,
            )
    except FileNotFoundError as error:
        raise LabError("mmdebstrap is not installed: make setup") from error
    except subprocess.SubprocessError as error:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"{error}\nThe end of {log}:\n{tail}") from error


def _remove_older(image: str, repository: str) -> None:
    """Images of earlier definitions; one that a lab still uses stays, and goes next time."""
    listing = podman("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split()
    for other in listing:
        if other != image:
            subprocess.run(
                ["podman", "image", "rm", other],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                env=environment(),
            )
