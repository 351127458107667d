# SPDX-License-Identifier: GPL-3.0-or-later
"""Join tokens: one call, the right token for each host, nothing on a command line."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

from ansible_collections.hybrid.mesh.plugins.modules.join_token import main
from ansible_collections.hybrid.mesh.tests.unit.plugins.run_module import run_module

SUBJECTS = [
    {"name": "api-1", "namespace": "shop", "service_account": "api"},
    {"name": "api-2", "namespace": "shop", "service_account": "api", "lifetime_seconds": 60},
]


def issued(*accounts: str) -> str:
    """What mesh-control prints for these service accounts of the namespace shop."""
    return json.dumps(
        [
            {"namespace": "shop", "service_account": a, "token": f"t{i}", "expires": "soon"}
            for i, a in enumerate(accounts)
        ]
    )


def control(directory: Path, output: str, code: int = 0) -> str:
    """A program in the place of mesh-control: keeps what it is given, answers ``output``."""
    path = directory / "mesh-control"
    path.write_text(
        f'#!/bin/sh\necho "$@" >{directory}/argv\ncat >{directory}/input\n'
        f"cat <<'END'\n{output}\nEND\nexit {code}\n"
    )
    path.chmod(0o755)
    return str(path)


def arguments(program: str, **more: Any) -> dict[str, Any]:
    return {"subjects": SUBJECTS, "program": program, "user": getpass.getuser(), **more}


def test_each_subject_gets_its_token(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, issued("api", "api"))))
    assert result["changed"] is True
    assert [(t["name"], t["token"]) for t in result["tokens"]] == [("api-1", "t0"), ("api-2", "t1")]
    assert json.loads((tmp_path / "input").read_text()) == [
        {"namespace": "shop", "service_account": "api"},
        {"namespace": "shop", "service_account": "api", "lifetime_seconds": 60},
    ]
    assert "shop" not in (tmp_path / "argv").read_text()


def test_a_token_for_someone_else_is_refused(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, issued("api", "db"))))
    assert result["failed"] is True
    assert result["msg"] == "token for api-2: expected service_account api from mesh-control"


def test_a_token_too_few_is_refused(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, issued("api"))))
    assert "expected a list of 2 tokens" in result["msg"]


def test_the_control_planes_message_is_passed_on(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, "key.pem: cannot be read", code=1)))
    assert result["msg"] == "mesh-control issued no tokens: key.pem: cannot be read"


def test_check_mode_issues_nothing(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, issued("api", "api"))), check=True)
    assert (result["changed"], result["tokens"]) == (True, [])
    assert not (tmp_path / "argv").exists()


def test_nobody_needs_a_token(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, "[]"), subjects=[]))
    assert (result["changed"], result["tokens"]) == (False, [])


def test_no_such_user(tmp_path: Path) -> None:
    result = run_module(main, arguments(control(tmp_path, "[]"), user="no-such-user"))
    assert result["msg"] == "user no-such-user does not exist on this host"
