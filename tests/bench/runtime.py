# SPDX-License-Identifier: Apache-2.0
"""The runtime as hosts get it: the bundle, built by the collection's own module."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError

_ROOT = Path(__file__).parents[2]
_INTERPRETER = "/usr/bin/python3"
_BUILD_SECONDS = 300
_SETTINGS = {
    "ANSIBLE_CONFIG": str(_ROOT / "ansible.cfg"),
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_NOCOLOR": "1",
}


def build(directory: Path) -> Path:
    """Unpack a bundle of this checkout, in place of one before; return its ``bin/mesh-agent``."""
    options = {
        "name": "runtime",
        "version": "0.0.0",
        "requirements": str(_ROOT / "requirements" / "runtime.txt"),
        "sources": [str(_ROOT / name) for name in ("mesh_core", "mesh_agent", "mesh_control")],
        "programs": [{"name": "mesh-agent", "entry_point": "mesh_agent.cli:main"}],
        "python": _version(),
        "architecture": platform.machine(),
        "glibc": platform.libc_ver()[1],
    }
    program = str(Path(sys.executable).parent / "ansible")
    done = subprocess.run(
        [program, "localhost", "-m", "hybrid.mesh.bundle", "-a", json.dumps(options)],
        cwd=_ROOT,
        env={**os.environ, **_SETTINGS},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise LabError(f"the runtime cannot be built: {done.stdout}{done.stderr}")
    told = json.loads(done.stdout[done.stdout.index("{") :])
    shutil.rmtree(directory, ignore_errors=True)
    shutil.unpack_archive(told["archive"], directory)
    return directory / str(told["directory"]) / "bin" / "mesh-agent"


def _version() -> str:
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.check_output([_INTERPRETER, "-c", program], text=True).strip()
