# SPDX-License-Identifier: Apache-2.0
"""All that a lab is made with, as one word: is the lab that stands the one that is wanted? Pure."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.files import host_files
from lab.istio.units import cluster_files, volumes
from lab.podman import create_arguments, network_arguments
from lab.spec import Lab


def digest(lab: Lab, image: str, tools: Path) -> str:
    """Changes with the description of the lab, its image, and the way in which hosts are made.

    `tools` is the directory of the cluster's programs, whose name changes with their versions.
    """
    parts: list[object] = [network_arguments(lab, network) for network in lab.networks]
    for host in lab.hosts:
        parts += [create_arguments(lab, host, image, volumes(host, tools))]
        parts += [host_files(lab, host, public_key=""), cluster_files(host)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
