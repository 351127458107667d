# SPDX-License-Identifier: Apache-2.0
"""Every role says what it takes, and takes what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def _load(role: str, name: str) -> dict[str, Any]:
    path = ROOT / "roles" / role / name
    loaded = yaml.safe_load(path.read_text()) if path.exists() else None
    return loaded or {}


def _options(role: str) -> dict[str, dict[str, Any]]:
    """The options of all entry points of the role."""
    entry_points = _load(role, "meta/argument_specs.yml")["argument_specs"].values()
    return {
        name: option
        for entry_point in entry_points
        for name, option in (entry_point.get("options") or {}).items()
    }


@pytest.mark.parametrize("role", ROLES)
def test_readme_begins_with_the_name(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text()
    assert readme.startswith("# ")
    assert role in readme.splitlines()[0]


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_is_described(role: str) -> None:
    specs = _load(role, "meta/argument_specs.yml")["argument_specs"]
    assert "main" in specs
    for entry_point, spec in specs.items():
        assert spec["short_description"], entry_point
        assert (ROOT / "roles" / role / "tasks" / f"{entry_point}.yml").exists()


@pytest.mark.parametrize("role", ROLES)
def test_options_are_the_defaults_and_what_is_required(role: str) -> None:
    options, defaults = _options(role), _load(role, "defaults/main.yml")
    optional = {name for name, option in options.items() if not option.get("required")}
    assert optional == set(defaults)


@pytest.mark.parametrize("role", ROLES)
def test_described_defaults_are_the_defaults(role: str) -> None:
    defaults = _load(role, "defaults/main.yml")
    described = {n: o["default"] for n, o in _options(role).items() if "default" in o}
    assert described == {name: defaults.get(name) for name in described}
