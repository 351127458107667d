# SPDX-License-Identifier: Apache-2.0
"""Objects of Istio's charts, as istioctl carries them: no download."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.api_server import ApiServer
from lab.errors import LabError
from lab.tools import tool

_ESTABLISHED_SECONDS = 30


def render(settings: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `istioctl manifest generate` makes of `--set NAME=VALUE` for each setting."""
    chosen = [f"--set={name}={value}" for name, value in settings.items()]
    done = subprocess.run(
        [str(tool("istioctl")), "manifest", "generate", *chosen],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise LabError(f"istioctl manifest generate: {done.stderr.strip()}")
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def definitions() -> list[dict[str, Any]]:
    """Istio's CustomResourceDefinitions."""
    return of_kinds(
        render({"profile": "empty", "components.base.enabled": "true"}), "CustomResourceDefinition"
    )


def of_kinds(documents: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    """Those documents that are of one of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def install_definitions(api: ApiServer) -> None:
    """Apply Istio's CustomResourceDefinitions, unless done, and wait until they are served."""
    done = Path(api.directory) / "definitions"
    if done.exists():
        return
    wanted = definitions()
    api.apply(wanted)
    names = [f"crd/{document['metadata']['name']}" for document in wanted]
    how = ("--for=condition=Established", f"--timeout={_ESTABLISHED_SECONDS}s")
    api.kubectl("wait", *how, *names)
    done.touch()
