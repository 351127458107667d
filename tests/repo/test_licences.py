# SPDX-License-Identifier: Apache-2.0
"""Which licence stands where: plugins run inside Ansible and carry its licence, all else ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_MARK = re.compile(r"SPDX-License-Identifier: ([\w.-]+)")
_LICENCES = {
    "lab": "Apache-2.0",
    "mesh_agent": "Apache-2.0",
    "mesh_control": "Apache-2.0",
    "mesh_core": "Apache-2.0",
    "plugins": "GPL-3.0-or-later",
}


@pytest.mark.parametrize(("directory", "licence"), _LICENCES.items())
def test_every_module_says_its_licence(
    root: Path, files: list[Path], directory: str, licence: str
) -> None:
    modules = [
        file
        for file in files
        if file.suffix == ".py" and file.is_relative_to(root / directory) and file.stat().st_size
    ]
    assert modules
    wrong = [
        str(file.relative_to(root))
        for file in modules
        if _MARK.findall("\n".join(file.read_text().splitlines()[:8])) != [licence]
        and "image" not in file.relative_to(root).parts
    ]
    assert wrong == []


def test_the_text_of_every_licence_is_here(root: Path) -> None:
    texts = {path.stem for path in (root / "LICENSES").glob("*.txt")}
    assert texts == set(_LICENCES.values())
    assert "Apache License" in (root / "LICENSES" / "Apache-2.0.txt").read_text()[:200]
    gpl = (root / "LICENSES" / "GPL-3.0-or-later.txt").read_text()[:200]
    assert "GNU GENERAL PUBLIC LICENSE" in gpl
