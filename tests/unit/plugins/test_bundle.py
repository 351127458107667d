# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: named after their inputs, built once, whole or not there, running anywhere."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._bundle_build import Builder
from ansible_collections.hybrid.mesh.plugins.module_utils._bundle_spec import (
    BundleError,
    BundleSpec,
    Program,
    Target,
)
from ansible_collections.hybrid.mesh.plugins.modules.bundle import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A source package, a requirements file, and a wheelhouse that has what it asks for."""
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter/__init__.py").write_text("")
    (tmp_path / "greeter/cli.py").write_text(
        "import words\n\n\ndef main():\n    print(words.GREETING, __file__, words.__cached__)\n"
    )
    (tmp_path / "requirements.txt").write_text("# what it says\nwords==1.0\n")
    (tmp_path / "wheelhouse").mkdir()
    with zipfile.ZipFile(tmp_path / "wheelhouse/words-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("words.py", "GREETING = 'hello'\n")
        wheel.writestr(
            "words-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: words\nVersion: 1.0\n"
        )
        wheel.writestr(
            "words-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(
            "words-1.0.dist-info/entry_points.txt", "[console_scripts]\nwords = words:main\n"
        )
        wheel.writestr("words-1.0.dist-info/RECORD", "")
    return tmp_path


def arguments(site: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "greeter",
        "version": "2.0",
        "requirements": str(site / "requirements.txt"),
        "sources": [str(site / "greeter")],
        "programs": [{"name": "greet", "entry_point": "greeter.cli:main"}],
        "interpreter": sys.executable,
        "python": PYTHON,
        "architecture": platform.machine(),
        "glibc": "2.31",
        "wheelhouse": str(site / "wheelhouse"),
        "cache": str(site / "cache"),
        **more,
    }


def spec(site: Path) -> BundleSpec:
    return BundleSpec(
        name="greeter",
        version="2.0",
        requirements=str(site / "requirements.txt"),
        target=Target(PYTHON, platform.machine(), "2.31"),
        interpreter=sys.executable,
        sources=(str(site / "greeter"),),
        programs=(Program("greet", "greeter.cli:main"),),
    )


def test_a_bundle_runs_where_it_is_unpacked(site: Path) -> None:
    result = run_module(main, arguments(site))
    assert result["changed"] is True
    assert result["archive"] == f"{site}/cache/greeter-{result['directory']}.tar.gz"
    with tarfile.open(result["archive"]) as archive:
        archive.extractall(site / "opt")  # noqa: S202 - made above
    (site / "opt/current").symlink_to(result["directory"])
    done = subprocess.run(
        [site / "opt/current/bin/greet"], capture_output=True, text=True, check=True, cwd="/"
    )
    greeting, path, cached = done.stdout.split()
    assert greeting == "hello"
    assert path == f"{site}/opt/{result['directory']}/lib/greeter/cli.py"
    assert Path(cached).is_file()


def test_it_is_built_once(site: Path) -> None:
    first = run_module(main, arguments(site))
    second = run_module(main, arguments(site))
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["sha256"] == second["sha256"]


def test_check_mode_knows_the_name_and_builds_nothing(site: Path) -> None:
    would = run_module(main, arguments(site), check=True)
    assert (would["changed"], would["sha256"]) == (True, "")
    assert not (site / "cache").exists()
    assert run_module(main, arguments(site))["directory"] == would["directory"]
    assert run_module(main, arguments(site), check=True)["changed"] is False


def test_a_damaged_archive_is_built_again(site: Path) -> None:
    first = run_module(main, arguments(site))
    with Path(first["archive"]).open("ab") as archive:
        archive.write(b"x")
    second = run_module(main, arguments(site))
    assert second["changed"] is True
    assert second["sha256"] == first["sha256"]


def test_the_archive_tells_nothing_of_its_builder(site: Path) -> None:
    result = run_module(main, arguments(site))
    with tarfile.open(result["archive"]) as archive:
        members = archive.getmembers()
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in members} == {(0, 0, "root", 0)}
    assert members[0].name == result["directory"]
    assert members[-1].name == f"{result['directory']}/{result['marker']}"
    names = {m.name.partition("/")[2]: m for m in members}
    assert names["bin/greet"].mode == 0o755
    assert "lib/bin/words" not in names
    data = Path(result["archive"]).read_bytes()
    assert os.fsencode(str(site)) not in data


def test_packages_may_stand_at_the_top(site: Path) -> None:
    result = run_module(main, arguments(site, library="", sources=[], programs=[]))
    with tarfile.open(result["archive"]) as archive:
        assert f"{result['directory']}/words.py" in archive.getnames()


def test_many_at_once_build_one(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[bool] = []

    def build() -> None:
        built.append(Builder(spec(site), str(site / "cache"), str(site / "wheelhouse")).build()[1])

    threads = [threading.Thread(target=build, name=f"fork {number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(built) == [False, False, False, True]


def test_an_interrupted_build_leaves_nothing(site: Path) -> None:
    (site / "requirements.txt").write_text("absent==1.0\n")
    result = run_module(main, arguments(site))
    assert result["failed"] is True
    assert "absent==1.0" in result["msg"]
    assert str(site / "wheelhouse") in result["msg"]
    assert {path.suffix for path in (site / "cache").iterdir()} == {".lock"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"requirements": "/nowhere.txt"}, "requirements: /nowhere.txt cannot be read"),
        ({"sources": ["/nowhere"]}, "sources: /nowhere is not a directory"),
        ({"glibc": "new"}, "glibc: expected a version such as 2.36, found 'new'"),
        ({"python": "3"}, "python: expected a version such as 2.36, found '3'"),
        ({"programs": [{"name": "x", "entry_point": "x"}]}, "programs: x: expected an entry point"),
    ],
)
def test_arguments_that_cannot_be(site: Path, more: dict[str, Any], said: str) -> None:
    result = run_module(main, arguments(site, **more))
    assert result["msg"].startswith("bundle greeter 2.0: ")
    assert said in result["msg"]


def test_the_name_follows_what_goes_in(site: Path) -> None:
    before = spec(site).directory()
    (site / "requirements.txt").write_text("words==1.0   # the only one\n\n")
    (site / "greeter/__pycache__").mkdir()
    (site / "greeter/__pycache__/cli.pyc").write_text("x")
    assert spec(site).directory() == before
    assert before.startswith("2.0-")
    names = {
        before,
        replace(spec(site), target=Target("3.99", platform.machine(), "2.31")).directory(),
        replace(spec(site), interpreter="/opt/python").directory(),
        replace(spec(site), programs=()).directory(),
        replace(spec(site), library="").directory(),
    }
    (site / "greeter/cli.py").write_text("def main(): pass\n")
    names.add(spec(site).directory())
    (site / "requirements.txt").write_text("words==1.1\n")
    names.add(spec(site).directory())
    assert len(names) == 7


def test_platforms_of_a_host() -> None:
    assert Target("3.11", "x86_64", "2.18").platforms[:3] == [
        "manylinux_2_18_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux_2_16_x86_64",
    ]
    assert "manylinux2014_aarch64" in Target("3.11", "aarch64", "2.17").platforms
    assert "manylinux2014_x86_64" not in Target("3.11", "x86_64", "2.12").platforms
    with pytest.raises(BundleError, match="glibc"):
        str(Target("3.11", "x86_64", "").platforms)
