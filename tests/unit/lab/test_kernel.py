# SPDX-License-Identifier: Apache-2.0
"""The machine's settings are written down once and put back to what they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.kernel import FORWARDING, INSTANCES, prepare, restore


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for name in (INSTANCES, *FORWARDING):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("128\n" if name == INSTANCES else "0\n")
    return tmp_path


def values(machine: Path) -> list[str]:
    return [(machine / name).read_text().strip() for name in (INSTANCES, *FORWARDING)]


def turn_on(machine: Path) -> None:
    for name in FORWARDING:
        (machine / name).write_text("1\n")


def test_raised_and_put_back(machine: Path) -> None:
    record = machine / "run" / "record"
    assert prepare(machine, record)
    turn_on(machine)
    # A second lab finds them changed, and must not write that down as what they were.
    assert not prepare(machine, record)
    assert values(machine) == ["1024", "1", "1"]
    changed = restore(forwarding=True, root=machine, record=record)
    assert changed == [INSTANCES, *FORWARDING]
    assert values(machine) == ["128", "0", "0"]
    assert not record.parent.exists()
    assert restore(forwarding=True, root=machine, record=record) == []


def test_others_keep_what_they_need(machine: Path) -> None:
    record = machine / "run" / "record"
    prepare(machine, record)
    turn_on(machine)
    assert restore(forwarding=False, root=machine, record=record) == [INSTANCES]
    assert values(machine) == ["128", "1", "1"]


def test_a_higher_limit_is_left_alone(machine: Path) -> None:
    (machine / INSTANCES).write_text("8192\n")
    record = machine / "run" / "record"
    assert not prepare(machine, record)
    assert restore(forwarding=True, root=machine, record=record) == []
    assert values(machine)[0] == "8192"
