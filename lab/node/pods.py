# SPDX-License-Identifier: Apache-2.0
"""The images of the lab's pods, as one archive that every node imports: pod/ defines them.

All have one root file system, with busybox, nft, Envoy, pilot-agent, istiod and CoreDNS; they
differ in what they start.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab.errors import LabError
from lab.node import archive
from lab.node.archive import Image
from lab.podman import podman
from lab.progress import say, step
from lab.tools import go, tool
from lab.tools.location import cache

DEFINITION = Path(__file__).with_name("pod")
ISTIO = Path(__file__).parent.parent / "tools" / "istio"
PAUSE = "localhost/hybrid-mesh-pause:1"
APP = "localhost/hybrid-mesh-app:1"
PROXY = "localhost/hybrid-mesh-proxy:1"
DNS = "localhost/hybrid-mesh-dns:1"
ISTIOD = "localhost/hybrid-mesh-istiod:1"
IMAGES = {
    PAUSE: Image(("/usr/local/bin/pause",)),
    APP: Image(("/usr/local/bin/app",)),
    PROXY: Image(("/usr/local/bin/pilot-agent",)),
    DNS: Image(("/usr/local/bin/coredns",)),
    # The chart demands a user that is not root, and leaves it to the image.
    ISTIOD: Image(("/usr/local/bin/istiod",), "1337:1337"),
}


def ensure(cache: Path, node_image: str) -> Path:
    """Builds the archive unless it exists; gives its path. It goes when its inputs change."""
    programs = _programs()
    path = cache / f"hybrid-mesh-pods-{_digest(node_image, programs)}.tar"
    if path.exists():
        say(f"the pods' images are there: {path.name}")
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with (
        step(f"build the pods' images as {path.name}"),
        tempfile.TemporaryDirectory(dir=cache) as directory,
    ):
        root = _assemble(Path(directory), node_image, programs)
        archive.write(Path(directory) / "images.tar", root, IMAGES)
        (Path(directory) / "images.tar").rename(path)
    for older in cache.glob("hybrid-mesh-pods-*.tar"):
        if older != path:
            older.unlink(missing_ok=True)
    return path


def _programs() -> Mapping[str, Path]:
    """What is in the images and does not come from the node's image, by name."""
    envoy = Path(sysconfig.get_path("purelib")) / "envoy" / "_bin" / "envoy"
    if not envoy.exists():
        raise LabError(f"{envoy}: not there: make setup")
    return {
        "envoy": envoy,
        **{name: tool(name) for name in ("pilot-agent", "istiod", "coredns")},
        "envoy_bootstrap.json": _bootstrap(),
    }


def _bootstrap() -> Path:
    """The bootstrap that pilot-agent gives Envoy: a file of Istio's source, as pinned."""
    program = str(go.find(cache(os.environ), os.environ))
    command = [program, "mod", "download", "-json", "istio.io/istio"]
    listing = [program, "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"]
    try:
        for words in (command, listing):
            done = subprocess.run(
                words, cwd=ISTIO, capture_output=True, text=True, timeout=300, check=True
            )
    except subprocess.SubprocessError as error:
        raise LabError(f"Istio's source cannot be had: {error}") from error
    return Path(done.stdout.strip()) / "tools" / "packaging" / "common" / "envoy_bootstrap.json"


def _digest(node_image: str, programs: Mapping[str, Path]) -> str:
    total = hashlib.sha256(f"{node_image} {IMAGES}".encode())
    for path in sorted(p for p in DEFINITION.rglob("*") if p.is_file()):
        total.update(f"\0{path.relative_to(DEFINITION)}\0".encode() + path.read_bytes())
    for name, path in programs.items():
        with path.open("rb") as content:
            total.update(f"\0{name}\0".encode() + hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()[:12]


def _assemble(directory: Path, node_image: str, programs: Mapping[str, Path]) -> Path:
    """Has the node's image lay the root file system together, from its own libraries."""
    given, made = directory / "in", directory / "out"
    given.mkdir()
    made.mkdir()
    for name, path in programs.items():
        shutil.copy(path, given / name)
    arguments = ["run", "--rm", "--network", "none"]
    for source, target in ((given, "/in:ro"), (DEFINITION, "/definition:ro"), (made, "/out")):
        arguments += ["--volume", f"{source.absolute()}:{target}"]
    podman(*arguments, node_image, "sh", "/definition/assemble.sh", timeout=300)
    return made / "root.tar"
