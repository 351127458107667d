# SPDX-License-Identifier: Apache-2.0
"""An archive of container images, in the form that `docker save` gives and containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """What an image starts, and as whom: `UID:GID`, root without one."""

    entrypoint: tuple[str, ...]
    user: str = ""


def write(target: Path, layer: Path, images: Mapping[str, Image]) -> None:
    """Writes images, by name, that have one layer: the root file system `layer`, a tar archive."""
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    manifest = []
    with tarfile.open(target, "w") as archive:
        archive.add(layer, "layer.tar")
        for name, image in images.items():
            config = json.dumps(_config(digest, image)).encode()
            path = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, path, config)
            manifest.append({"Config": path, "RepoTags": [name], "Layers": ["layer.tar"]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _config(digest: str, image: Image) -> dict[str, object]:
    return {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "Entrypoint": list(image.entrypoint),
            "Env": ["PATH=/usr/local/bin:/usr/sbin:/bin"],
            "User": image.user,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "lab"}],
    }


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
