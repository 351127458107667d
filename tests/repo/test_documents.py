# SPDX-License-Identifier: Apache-2.0
"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

_LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def _documents(root: Path, files: list[Path]) -> list[Path]:
    return [f for f in files if f.suffix == ".md" and not f.is_relative_to(root / "changelogs")]


def test_links_lead_to_files(root: Path, files: list[Path]) -> None:
    documents = _documents(root, files)
    assert root / "README.md" in documents
    dead = [
        f"{document.relative_to(root)}: {target}"
        for document in documents
        for target in _LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]
    assert dead == []


def test_make_has_every_target_that_is_named(root: Path, files: list[Path]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= targets
    named = {
        target
        for document in _documents(root, files)
        for target in re.findall(r"(?:`|&& |^)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert named - targets == set()
