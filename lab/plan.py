# SPDX-License-Identifier: Apache-2.0
"""All that a lab is made with, as one word: is the lab that stands the one that is wanted? Pure."""

from __future__ import annotations

import hashlib

from lab.files import host_files
from lab.podman import create_arguments, network_arguments
from lab.spec import Lab


def digest(lab: Lab, image: str) -> str:
    """Changes with the description of the lab, its image, and the way in which hosts are made."""
    parts: list[object] = [network_arguments(lab, network) for network in lab.networks]
    for host in lab.hosts:
        parts += [create_arguments(lab, host, image), host_files(lab, host, public_key="")]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
