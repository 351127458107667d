# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories, files and links of a host: all files or none, and only what differs."""

from __future__ import annotations

import getpass
import grp
import os
import stat
from pathlib import Path
from typing import Any

from ansible_collections.hybrid.mesh.plugins.modules.host_files import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

ME = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}


def wanted(top: Path, content: str = "port: 1\n", validate: str = "test -s %s") -> dict[str, Any]:
    settings = {"path": str(top / "etc/shop.yaml"), "content": content, "validate": validate}
    return {
        "directories": [{"path": str(top / "etc"), "mode": "0750", **ME}],
        "files": [{"path": str(top / "etc/notes"), "content": "", **ME}, {**settings, **ME}],
        "links": [{"path": str(top / "etc/link"), "target": "/nowhere"}],
    }


def test_what_is_not_there_is_made_once(tmp_path: Path) -> None:
    first = run_module(main, wanted(tmp_path))
    etc = tmp_path / "etc"
    assert first["paths"] == [str(etc / name) for name in ("", "notes", "shop.yaml", "link")]
    assert (etc / "shop.yaml").read_text() == "port: 1\n"
    assert stat.S_IMODE(etc.stat().st_mode) == 0o750
    assert stat.S_IMODE((etc / "shop.yaml").stat().st_mode) == 0o644
    assert (etc / "link").readlink() == Path("/nowhere")
    second = run_module(main, wanted(tmp_path))
    assert (second["changed"], second["paths"], second["diff"]) == (False, [], [])


def test_the_program_that_checks_a_file_finds_the_directories(tmp_path: Path) -> None:
    assert run_module(main, wanted(tmp_path, validate=f"test -d {tmp_path}/etc -a -s %s"))[
        "changed"
    ]


def test_only_what_differs_is_named(tmp_path: Path) -> None:
    run_module(main, wanted(tmp_path))
    (tmp_path / "etc/notes").chmod(0o600)
    changed = run_module(main, wanted(tmp_path, content="port: 2\n"))
    assert changed["paths"] == [str(tmp_path / "etc/shop.yaml"), str(tmp_path / "etc/notes")]
    assert [(d["before"], d["after"]) for d in changed["diff"]] == [("port: 1\n", "port: 2\n")]
    assert stat.S_IMODE((tmp_path / "etc/notes").stat().st_mode) == 0o644


def test_one_that_is_refused_keeps_all_others_back(tmp_path: Path) -> None:
    run_module(main, wanted(tmp_path))
    (tmp_path / "etc/link").unlink()
    (tmp_path / "etc/notes").write_text("somebody's")
    script = tmp_path / "refuse"
    script.write_text('#!/bin/sh\necho "$1: no such port" >&2\nexit 1\n')
    script.chmod(0o755)
    refused = run_module(main, wanted(tmp_path, content="port: x\n", validate=f"{script} %s"))
    path = tmp_path / "etc/shop.yaml"
    assert refused["msg"] == f"{path}: its new content is refused: {path}: no such port"
    assert path.read_text() == "port: 1\n"
    assert (tmp_path / "etc/notes").read_text() == "somebody's"
    assert not (tmp_path / "etc/link").is_symlink()


def test_check_mode_touches_nothing_and_asks_no_program(tmp_path: Path) -> None:
    would = run_module(main, wanted(tmp_path, validate="/no/program %s"), check=True)
    assert would["changed"] is True
    assert len(would["paths"]) == 4
    assert list(tmp_path.iterdir()) == []


def test_something_else_in_its_place_is_left(tmp_path: Path) -> None:
    link = tmp_path / "etc/link"
    link.parent.mkdir()
    link.write_text("somebody's")
    failed = run_module(main, wanted(tmp_path))
    assert failed["msg"] == f"{link}: expected a link, found something else"
    assert link.read_text() == "somebody's"
    assert not (tmp_path / "etc/shop.yaml").exists()
    directory = {"directories": [{"path": str(link), **ME}]}
    assert run_module(main, directory)["msg"] == f"{link}: File exists"


def test_directories_above_are_for_everybody_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "above/etc"
    before = os.umask(0o077)
    try:
        run_module(main, {"directories": [{"path": str(path), "mode": "0700", **ME}]})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


def test_a_check_without_a_place_for_the_file_is_refused(tmp_path: Path) -> None:
    refused = run_module(main, wanted(tmp_path, validate="/bin/check"))
    path = tmp_path / "etc/shop.yaml"
    assert f"{path}: validate: expected %s in the command" in refused["msg"]
    assert not path.parent.exists()


def test_other_percent_signs_of_a_check_are_its_own(tmp_path: Path) -> None:
    assert run_module(main, wanted(tmp_path, validate="test 5% != %s"))["changed"]


def test_a_link_in_a_missing_directory_is_named(tmp_path: Path) -> None:
    link = {"path": str(tmp_path / "away/link"), "target": "/nowhere"}
    failed = run_module(main, {"links": [link]})
    assert failed["msg"] == f"{link['path']}: No such file or directory"


def test_permissions_are_those_of_what_a_link_leads_to(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"
    file.write_text("x")
    directory.mkdir()
    for path in (file, directory):
        path.chmod(0o700)
        (tmp_path / f"to-{path.name}").symlink_to(path)
    options = {
        "directories": [{"path": str(tmp_path / "to-directory"), **ME}],
        "files": [{"path": str(tmp_path / "to-file"), "content": "x", **ME}],
    }
    changed = run_module(main, options)
    assert changed["paths"] == [str(tmp_path / "to-directory"), str(tmp_path / "to-file")]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755
    assert not run_module(main, options)["changed"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "etc/notes").mkdir(parents=True)
    failed = run_module(main, wanted(tmp_path))
    assert failed["msg"] == f"{tmp_path / 'etc/notes'}: Is a directory"
