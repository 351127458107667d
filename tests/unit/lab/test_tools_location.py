# SPDX-License-Identifier: Apache-2.0
"""Where the tools are, and that every pin counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.tools import build, catalog, directory, location, missing, tool
from lab.tools.catalog import DEFINITION, MODULES, PROGRAMS, linker_flags, pinned


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    """A copy of the go.mod files, to be changed."""
    return Path(shutil.copytree(DEFINITION, tmp_path / "tools"))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_the_directory_follows_every_pin(definition: Path, module: str, name: str) -> None:
    before = location.digest(definition)
    assert before == location.digest()
    with (definition / module / name).open("a") as file:
        file.write("// changed\n")
    assert location.digest(definition) != before


def test_the_directory_is_of_the_users_cache_or_given(monkeypatch: pytest.MonkeyPatch) -> None:
    name = location.digest()
    monkeypatch.setenv("HOME", "/here")
    assert directory({}) == Path("/here/.cache/hybrid-mesh/tools") / name
    assert directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/hybrid-mesh/tools") / name
    assert directory({"HYBRID_MESH_TOOLS": "/opt/tools"}) == Path("/opt/tools")


def test_a_tool_that_is_not_there_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HYBRID_MESH_TOOLS", str(tmp_path))
    with pytest.raises(LabError, match=r"etcd: not there: make tools"):
        tool("etcd")
    assert missing() == [program.name for program in PROGRAMS]
    (tmp_path / "etcd").touch()
    assert tool("etcd") == tmp_path / "etcd"
    assert "etcd" not in missing()
    with pytest.raises(LabError, match="kubeadm: no such tool; there are etcd, kube-apiserver"):
        tool("kubeadm")


def test_kubernetes_is_linked_with_its_version(definition: Path) -> None:
    file = definition / "kubernetes" / "go.mod"
    version = pinned("k8s.io/kubernetes", "kubernetes")
    file.write_text(
        file.read_text().replace(f"k8s.io/kubernetes {version}", "k8s.io/kubernetes v2.7.1")
    )
    assert pinned("k8s.io/kubernetes", "kubernetes", definition) == "v2.7.1"
    flags = linker_flags("kubernetes", definition)
    assert flags.startswith("-s -w -X k8s.io/component-base/version.gitVersion=v2.7.1 ")
    assert flags.endswith(".gitMajor=2 -X k8s.io/component-base/version.gitMinor=7")
    assert linker_flags("istio", definition) == "-s -w"
    with pytest.raises(LabError, match=r"go.mod: requires no version of example.com/x"):
        pinned("example.com/x", "etcd", definition)


def test_every_program_is_built_as_its_project_does(tmp_path: Path) -> None:
    command = build.command(catalog.program("pilot-agent"), tmp_path / "x")
    assert command[:3] == ["go", "build", "-mod=readonly"]
    assert "-tags=agent,disable_pgv,grpcnotrace,retrynotrace" in command
    assert command[-2:] == [f"-o={tmp_path}/x", "istio.io/istio/pilot/cmd/pilot-agent"]
    for program in PROGRAMS:
        assert (DEFINITION / program.module / "go.mod").exists(), program.name
        assert (DEFINITION / program.module / "go.sum").exists(), program.name
