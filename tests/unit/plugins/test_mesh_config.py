# SPDX-License-Identifier: GPL-3.0-or-later
"""Object files as one unit: checked first, all or nothing, only its own files removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._object_files import MANIFEST
from ansible_collections.hybrid.mesh.plugins.modules.mesh_config import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

# Refuses a directory that holds the word "bad", as mesh-control would. The path comes last.
CHECKER = """#!/bin/sh
for last; do :; done
if grep -rq bad "$last"; then
    echo "error: $last/shop.yaml[1]: spec.prot: unknown"
    exit 1
fi
if grep -rq odd "$last"; then echo "warning: shop.yaml[1]: odd"; fi
ls "$last" >"$0.saw"
"""


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    (tmp_path / "mesh-control").write_text(CHECKER)
    (tmp_path / "mesh-control").chmod(0o755)
    directory = tmp_path / "objects"
    directory.mkdir()
    return directory


def apply(
    objects: Path, files: dict[str, str], *, check: bool = False, **more: Any
) -> dict[str, Any]:
    arguments = {
        "objects": files,
        "directory": str(objects),
        "program": str(objects.parent / "mesh-control"),
        **more,
    }
    return run_module(main, arguments, check=check)


def content(objects: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in objects.glob("*.y*ml")}


def test_files_are_written_once(objects: Path) -> None:
    files = {"shop.yaml": "a: 1\n", "policy.yml": "b: 2\n"}
    first = apply(objects, files)
    assert (first["changed"], first["checked"]) == (True, True)
    assert first["files"] == ["policy.yml", "shop.yaml"]
    assert content(objects) == files
    assert json.loads((objects / MANIFEST).read_text()) == {"files": ["policy.yml", "shop.yaml"]}
    assert {p.name for p in objects.iterdir()} == {*files, MANIFEST}
    second = apply(objects, files)
    assert (second["changed"], second["files"]) == (False, [])


def test_the_checker_sees_the_directory_as_it_would_be(objects: Path) -> None:
    (objects / "other.yaml").write_text("c: 3\n")
    apply(objects, {"shop.yaml": "a: 1\n"})
    saw = (objects.parent / "mesh-control.saw").read_text().split()
    assert saw == ["other.yaml", "shop.yaml"]


def test_what_the_checker_refuses_changes_nothing(objects: Path) -> None:
    apply(objects, {"shop.yaml": "a: 1\n", "policy.yaml": "b: 2\n"})
    result = apply(objects, {"shop.yaml": "bad\n", "more.yaml": "c: 3\n"})
    assert result["failed"] is True
    assert result["msg"] == f"error: {objects}/shop.yaml[1]: spec.prot: unknown"
    assert content(objects) == {"shop.yaml": "a: 1\n", "policy.yaml": "b: 2\n"}


def test_remarks_of_the_checker_are_shown(
    objects: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = apply(objects, {"shop.yaml": "odd\n"})
    assert result["changed"] is True
    assert result["remarks"] == ["warning: shop.yaml[1]: odd"]
    assert "shop.yaml[1]: odd" in capsys.readouterr().err


def test_own_files_go_and_others_stay(objects: Path) -> None:
    (objects / "other.yaml").write_text("c: 3\n")
    apply(objects, {"shop.yaml": "a: 1\n", "policy.yaml": "b: 2\n"})
    result = apply(objects, {"shop.yaml": "a: 1\n"})
    assert result["files"] == ["policy.yaml"]
    assert content(objects) == {"shop.yaml": "a: 1\n", "other.yaml": "c: 3\n"}
    assert result["diff"] == [
        {
            "before_header": f"{objects}/policy.yaml",
            "after_header": f"{objects}/policy.yaml (absent)",
            "before": "b: 2\n",
            "after": "",
        }
    ]


def test_without_prune_own_files_stay_its_own(objects: Path) -> None:
    apply(objects, {"shop.yaml": "a: 1\n", "policy.yaml": "b: 2\n"})
    assert apply(objects, {"shop.yaml": "a: 1\n"}, prune=False)["changed"] is False
    assert apply(objects, {"shop.yaml": "a: 1\n"})["files"] == ["policy.yaml"]


def test_check_mode_checks_and_shows(objects: Path) -> None:
    result = apply(objects, {"shop.yaml": "a: 1\n"}, check=True)
    assert (result["changed"], result["checked"]) == (True, True)
    assert result["diff"][0]["after"] == "a: 1\n"
    assert list(objects.iterdir()) == []
    assert apply(objects, {"shop.yaml": "bad\n"}, check=True)["failed"] is True


def test_check_mode_on_a_host_without_a_control_plane(tmp_path: Path) -> None:
    result = apply(tmp_path / "absent", {"shop.yaml": "bad\n"}, check=True)
    assert (result["changed"], result["checked"]) == (True, False)
    assert result["diff"][0]["after"] == "bad\n"


def test_without_its_checker_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    result = apply(tmp_path / "objects", {"shop.yaml": "a: 1\n"})
    assert result["failed"] is True
    assert "mesh-control cannot be run" in result["msg"]
    assert list((tmp_path / "objects").iterdir()) == []


@pytest.mark.parametrize("name", ["../shop.yaml", ".shop.yaml", "shop.txt", "a/b.yaml"])
def test_names_that_are_none(objects: Path, name: str) -> None:
    result = apply(objects, {name: "a: 1\n"})
    assert "expected a file name that ends in .yaml or .yml" in result["msg"]


def test_a_broken_manifest_removes_nothing(objects: Path) -> None:
    (objects / MANIFEST).write_text('{"files": ["../etc"]}')
    result = apply(objects, {"shop.yaml": "a: 1\n"})
    assert MANIFEST in result["msg"]
    assert content(objects) == {}


def test_permissions_of_a_file_are_kept(objects: Path) -> None:
    apply(objects, {"shop.yaml": "a: 1\n"})
    (objects / "shop.yaml").chmod(0o640)
    apply(objects, {"shop.yaml": "a: 2\n", "new.yaml": "b: 1\n"})
    assert (objects / "shop.yaml").stat().st_mode & 0o777 == 0o640
    assert (objects / "new.yaml").stat().st_mode & 0o777 == 0o644
