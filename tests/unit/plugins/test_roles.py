# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles say the same in their defaults, their argument specs and their README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir())
MARKER = "<!-- variables -->\n"


def specs(role: str) -> dict[str, Any]:
    """Entry points of a role, name to spec."""
    text = (ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)["argument_specs"]
    return found


def defaults(role: str) -> dict[str, Any]:
    """Default variables of a role."""
    return yaml.safe_load((ROLES / role / "defaults/main.yml").read_text(encoding="utf-8")) or {}


def table(options: dict[str, Any]) -> str:
    """The table of a role's variables as its README has it."""
    lines = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        description = option["description"]
        text = " ".join(description) if isinstance(description, list) else description
        default = "required" if option.get("required") else f"`{shown(option['default'])}`"
        lines.append(f"| `{name}` | {option['type']} | {default} | {plain(text)} |")
    return "\n".join(lines) + "\n"


def shown(default: object) -> str:
    """A default as one writes it in YAML."""
    text = yaml.safe_dump(default, default_flow_style=True, width=10_000).strip()
    return text.removesuffix("...").strip().replace("|", "\\|")


def plain(text: str) -> str:
    """Ansible's markup as Markdown."""
    for mark in ("C(", "V(", "O("):
        while mark in text:
            before, rest = text.split(mark, 1)
            inside, after = rest.split(")", 1)
            text = f"{before}`{inside}`{after}"
    while "P(" in text:
        before, rest = text.split("P(", 1)
        inside, after = rest.split(")", 1)
        name = inside.partition("#")[0].rpartition(".")[2]
        text = f"{before}[{name}](../{name}/README.md){after}"
    return text


@pytest.mark.parametrize("role", NAMES)
def test_defaults_are_those_of_the_argument_specs(role: str) -> None:
    options = specs(role)["main"]["options"]
    assert defaults(role) == {
        name: option["default"] for name, option in options.items() if not option.get("required")
    }


@pytest.mark.parametrize("role", NAMES)
def test_every_variable_carries_the_roles_name(role: str) -> None:
    for spec in specs(role).values():
        assert all(name.startswith(f"{role}_") for name in spec["options"])


@pytest.mark.parametrize("role", NAMES)
def test_each_entry_point_is_a_task_file(role: str) -> None:
    for entry_point in specs(role):
        assert (ROLES / role / "tasks" / f"{entry_point}.yml").is_file()


@pytest.mark.parametrize("role", NAMES)
def test_readme_lists_the_variables(role: str) -> None:
    text = (ROLES / role / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# hybrid.mesh.{role}\n")
    assert text.partition(MARKER)[2] == "\n" + table(specs(role)["main"]["options"])
