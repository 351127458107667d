# SPDX-License-Identifier: Apache-2.0
"""An archive of container images, in the form that `docker save` gives and containerd imports."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write(target: Path, layer: Path, images: Mapping[str, Sequence[str]]) -> None:
    """Writes images that have one layer in common: the root file system `layer`, a tar archive.

    `images` are their names, each with its entry point.
    """
    with layer.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    manifest = []
    with tarfile.open(target, "w") as archive:
        archive.add(layer, "layer.tar")
        for name, entrypoint in images.items():
            config = json.dumps(_config(digest, entrypoint)).encode()
            path = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, path, config)
            manifest.append({"Config": path, "RepoTags": [name], "Layers": ["layer.tar"]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _config(digest: str, entrypoint: Sequence[str]) -> dict[str, object]:
    return {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/bin:/usr/sbin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "lab"}],
    }


def _add(archive: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
