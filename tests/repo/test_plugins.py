# SPDX-License-Identifier: Apache-2.0
"""Plugins run where nothing but Ansible is installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml

_PACKAGES = {"mesh_agent", "mesh_control", "mesh_core", "lab"}


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def test_plugins_import_no_package_of_the_hosts(root: Path) -> None:
    plugins = sorted((root / "plugins").rglob("*.py"))
    assert plugins
    found = {str(p.relative_to(root)): set(_imports(p.read_text())) & _PACKAGES for p in plugins}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_action_group_lists_every_module(root: Path) -> None:
    runtime = yaml.safe_load((root / "meta" / "runtime.yml").read_text())
    modules = {p.stem for p in (root / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert set(runtime["action_groups"]["mesh"]) == modules
