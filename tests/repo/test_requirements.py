# SPDX-License-Identifier: Apache-2.0
"""The pinned lists are installed without a resolver: they have to be complete and to agree."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# xds-protos asks for it, for modules that are never imported.
LEFT_OUT = {"grpcio"}


def _pins(path: Path) -> dict[str, str]:
    """Name and version of every line, with those of included files; NAME==VERSION or an error."""
    pins: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            pins |= _pins(path.parent / line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            name, version = line.split("==")
            pins[canonicalize_name(name)] = version
    return pins


@pytest.mark.parametrize("name", ["runtime.txt", "envoy.txt", "dev.txt"])
def test_what_is_installed_needs_nothing_beyond_the_list(root: Path, name: str) -> None:
    pins = _pins(root / "requirements" / name)
    assert pins
    assert not LEFT_OUT & set(pins)
    missing = set()
    for pinned, version in pins.items():
        installed = distribution(pinned)
        assert installed.version == version, pinned
        for text in installed.requires or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                missing.add(canonicalize_name(needed.name))
    assert missing - set(pins) - LEFT_OUT == set()


def test_the_package_asks_for_what_the_runtime_has(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    asked = {canonicalize_name(name) for name in project["dependencies"]}
    assert asked <= set(_pins(root / "requirements" / "runtime.txt"))


def test_collection_and_package_have_one_version(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    collection = yaml.safe_load((root / "galaxy.yml").read_text())
    assert collection["version"] == project["version"]
