# SPDX-License-Identifier: Apache-2.0
"""The image's name follows its definition."""

from __future__ import annotations

from pathlib import Path

from lab.image import mmdebstrap_arguments, packages, tag


def test_the_tag_follows_every_byte_and_mode(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    file = tmp_path / "root" / "file"
    file.write_text("a")
    first = tag(tmp_path)
    assert tag(tmp_path) == first

    file.write_text("b")
    second = tag(tmp_path)
    file.chmod(0o755)
    assert len({first, second, tag(tmp_path)}) == 3


def test_packages_are_the_lines_that_are_no_comments(tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text("# why\nsystemd\n\nnginx-light\n")
    assert packages(tmp_path) == ["systemd", "nginx-light"]
    assert "--include=systemd,nginx-light" in mmdebstrap_arguments(Path("x.tar"), tmp_path)
