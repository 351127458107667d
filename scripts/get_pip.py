# SPDX-License-Identifier: Apache-2.0
"""Stands in for the get-pip script that ansible-test would download from a file server of its own.

It starts from the pip that every Python carries, and takes the pinned version from the index that
pip is configured for: ansible-test can make its virtual environments wherever packages can be had.
"""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys

ONLY_FOR_GET_PIP = {"--no-setuptools", "--no-wheel", "--no-python-version-warning"}

ensurepip.bootstrap()
# ensurepip points it at /dev/null, which would hide the configured index and its certificates.
os.environ.pop("PIP_CONFIG_FILE", None)
arguments = [argument for argument in sys.argv[1:] if argument not in ONLY_FOR_GET_PIP]
subprocess.check_call([sys.executable, "-m", "pip", "install", *arguments])
