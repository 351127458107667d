# SPDX-License-Identifier: GPL-3.0-or-later
"""The READMEs of the roles list the variables as their argument specs describe them."""

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
def test_every_variable_carries_the_roles_name(role: str) -> None:
    for spec in specs(role).values():
        assert all(name.startswith(f"{role}_") for name in spec["options"])


@pytest.mark.parametrize("role", NAMES)
def test_readme_lists_the_variables(role: str) -> None:
    text = (ROLES / role / "README.md").read_text(encoding="utf-8")
    assert text.partition(MARKER)[2] == "\n" + table(specs(role)["main"]["options"])
