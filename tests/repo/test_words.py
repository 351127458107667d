# SPDX-License-Identifier: Apache-2.0
"""What no file of the project says."""

from __future__ import annotations

import re
from pathlib import Path

# Put together here, so that this file does not say it either.
_REGISTRIES = (
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("deb", "debian", "org"),
    ("registry", "npmjs", "org"),
    ("proxy", "golang", "org"),
    ("crates", "io"),
    ("maven", "org"),
)
# Home directories and workplaces: a path below them is some machine's, not the project's.
_MACHINE_PATH = re.compile(r"(?<![\w.}])/(?:home|root|work|farm|Users)/[a-z]\w*")


def _lines(files: list[Path]) -> list[tuple[Path, int, str]]:
    lines = []
    for file in files:
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue  # a picture
        lines += [(file, number, line) for number, line in enumerate(text.splitlines(), 1)]
    return lines


def test_no_package_registry_is_named(files: list[Path]) -> None:
    names = re.compile("|".join(re.escape(".".join(parts)) for parts in _REGISTRIES))
    assert names.search("https://" + ".".join(_REGISTRIES[0]))
    assert [(f, n) for f, n, line in _lines(files) if names.search(line)] == []


def test_no_path_of_a_machine_is_named(files: list[Path]) -> None:
    assert _MACHINE_PATH.search("see " + "/home" + "/someone/mesh")
    assert [(f, n) for f, n, line in _lines(files) if _MACHINE_PATH.search(line)] == []
