# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a host's agent, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.hybrid.mesh.plugins.modules.agent_info import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module


def agent(directory: Path, *, output: str = "", error: str = "", code: int = 0) -> str:
    """A program in the place of mesh-agent that answers so."""
    path = directory / "mesh-agent"
    path.write_text(f"#!/bin/sh\nprintf '%s' '{output}'\nprintf '%s' '{error}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return str(path)


def test_a_host_without_an_agent_needs_a_token(tmp_path: Path) -> None:
    result = run_module(main, {"program": str(tmp_path / "mesh-agent")})
    assert (result["state"], result["ready"], result["needs_token"]) == ("absent", False, True)
    assert result["status"] == {}
    assert str(tmp_path) in result["message"]


def test_an_agent_that_does_not_run_is_stopped(tmp_path: Path) -> None:
    result = run_module(main, {"program": agent(tmp_path, error="not running", code=3)})
    assert (result["state"], result["needs_token"]) == ("stopped", True)
    assert result["message"] == "not running"


@pytest.mark.parametrize("needs_token", [True, False])
def test_a_running_agent_says_itself_what_it_needs(tmp_path: Path, needs_token: bool) -> None:
    value = "true" if needs_token else "false"
    output = f'{{"ready": true, "identity": {{"needs_token": {value}}}}}'
    result = run_module(main, {"program": agent(tmp_path, output=output)})
    assert (result["state"], result["ready"]) == ("running", True)
    assert result["needs_token"] is needs_token
    assert result["status"]["ready"] is True
    assert result["changed"] is False


@pytest.mark.parametrize(
    ("output", "code", "said"),
    [
        ("", 1, "failed with code 1: no module named x"),
        ("{", 0, "expected JSON"),
        ("[]", 0, "list"),
    ],
)
def test_a_broken_agent_is_no_failure(tmp_path: Path, output: str, code: int, said: str) -> None:
    program = agent(tmp_path, output=output, error="no module named x", code=code)
    result = run_module(main, {"program": program})
    assert "failed" not in result
    assert (result["state"], result["needs_token"]) == ("stopped", True)
    assert said in result["message"]
