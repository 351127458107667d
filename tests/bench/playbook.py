# SPDX-License-Identifier: Apache-2.0
"""One task of a playbook, and how long Ansible takes for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError

_SECONDS = 900
# Writes down when tasks start and end; it is no part of what is measured.
_CALLBACK = """
import time
from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "stopwatch"

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.began = time.monotonic()

    def v2_runner_on_ok(self, result):
        print("SECONDS", time.monotonic() - self.began)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        print("FAILED", getattr(result, "result", {}).get("msg"))
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A module with its options; `tree` is a folder as `collections` makes it."""

    module: str
    options: Mapping[str, Any]
    tree: Path

    def seconds(self) -> float:
        """Run it by ansible-playbook; the seconds from its start to its result."""
        variables = self.tree / "variables.json"
        variables.write_text(json.dumps({"options": dict(self.options)}))
        playbook = self.tree / "playbook.json"
        arguments = {name: f"{{{{ options[{name!r}] }}}}" for name in self.options}
        play = {
            "name": "Measure",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [{"name": "Measure", self.module: arguments}],
        }
        playbook.write_text(json.dumps([play]))
        program = Path(sys.executable).with_name("ansible-playbook")
        done = subprocess.run(
            [program, "-i", "localhost,", "-e", f"@{variables}", playbook],
            env={**os.environ, **_environment(self.tree)},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        for line in done.stdout.splitlines():
            if line.startswith("SECONDS "):
                return float(line.split()[1])
        raise LabError(f"{self.module}: {(done.stdout + done.stderr).strip()[-2000:]}")


def module_seconds(task: Task) -> float:
    """Run the module alone, as the process that Ansible makes of it."""
    arguments = task.tree / "arguments.json"
    arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": dict(task.options)}))
    namespace, collection, name = task.module.split(".")
    module = f"ansible_collections.{namespace}.{collection}.plugins.modules.{name}"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", module, arguments],
        env={**os.environ, "PYTHONPATH": str(task.tree)},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    elapsed = time.monotonic() - began
    if done.returncode:
        raise LabError(f"{task.module}: {(done.stdout + done.stderr).strip()[-2000:]}")
    return elapsed


def collections(directory: Path, members: Mapping[str, Path]) -> Path:
    """A folder in which Ansible finds the collections, ``NAMESPACE/NAME`` to their folder."""
    tree = directory / "collections"
    for name, place in members.items():
        link = tree / "ansible_collections" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place)
    plugins = tree / "callbacks"
    plugins.mkdir()
    (plugins / "stopwatch.py").write_text(_CALLBACK)
    (tree / "ansible.cfg").touch()
    return tree


def _environment(tree: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(tree / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(tree),
        "ANSIBLE_CALLBACK_PLUGINS": str(tree / "callbacks"),
        "ANSIBLE_STDOUT_CALLBACK": "stopwatch",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_PIPELINING": "true",
    }
