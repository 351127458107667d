# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin of workload_entry: it shows lines while the module runs."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.action import workload_entry


class Screen:
    """Stands in for Ansible's Display."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def display(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    found = Screen()
    monkeypatch.setattr(workload_entry, "Display", lambda: found)
    monkeypatch.setattr(workload_entry, "_BEAT", 0.01)
    return found


def action(monkeypatch: pytest.MonkeyPatch, execute: Any, **task: Any) -> Any:
    monkeypatch.setattr(workload_entry.ActionBase, "run", lambda *_arguments: {})
    found = workload_entry.ActionModule.__new__(workload_entry.ActionModule)
    found._task = SimpleNamespace(**{"args": {"entries": []}, **task})
    found._connection = SimpleNamespace(transport=task.get("transport", "local"))
    found._execute_module = execute
    return found


def test_lines_are_shown_while_the_module_runs_and_the_file_goes(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def execute(*, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        path = Path(module_args["progress_file"])
        seen.append(path)
        assert path.stat().st_mode & 0o077 == 0
        with path.open("a", encoding="utf-8") as stream:
            stream.write("WorkloadEntry: 1 of 2\n")
        deadline = time.monotonic() + 5
        while not screen.lines and time.monotonic() < deadline:
            time.sleep(0.01)
        return {"changed": True}

    assert action(monkeypatch, execute).run(None, {}) == {"changed": True}
    assert screen.lines == ["  WorkloadEntry: 1 of 2"]
    assert not seen[0].exists()


@pytest.mark.parametrize(
    "task",
    [
        {"transport": "ssh"},
        {"args": {"entries": [], "progress_file": "/mine"}},
    ],
)
def test_elsewhere_the_module_runs_as_it_is(
    screen: Screen, monkeypatch: pytest.MonkeyPatch, task: dict[str, Any]
) -> None:
    given: list[dict[str, Any]] = []

    def execute(*, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        given.append(module_args)
        return {}

    action(monkeypatch, execute, **task).run(None, {})
    assert given == [task.get("args", {"entries": []})]


def test_the_file_goes_when_the_module_fails(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    def execute(*, module_args: dict[str, Any], **_options: Any) -> dict[str, Any]:
        seen.append(Path(module_args["progress_file"]))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        action(monkeypatch, execute).run(None, {})
    assert not seen[0].exists()
