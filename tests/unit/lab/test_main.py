# SPDX-License-Identifier: Apache-2.0
"""The command line of the lab, as far as it starts nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lab.__main__ as command
from lab.state import State


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    """A lab with nothing in it yet, for root."""
    found = State(tmp_path)
    monkeypatch.setattr(State, "of", lambda _lab: found)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(command, "tool", lambda name: Path("/tools") / name)
    return found


def test_a_lab_without_a_cluster_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--lab", "x", "kubectl", "get", "pods"]) == 1
    assert "lab x has no cluster" in capsys.readouterr().err


def test_kubectl_asks_the_labs_cluster(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda *program: asked.append(program))
    state.write_secret(state.administrator, "{}")
    assert command.main(["kubectl", "get", "pods", "--all-namespaces"]) == 0
    ((program, arguments),) = asked
    assert program == Path("/tools/kubectl")
    assert arguments[1:] == [
        f"--kubeconfig={state.administrator}",
        "get",
        "pods",
        "--all-namespaces",
    ]
