# SPDX-License-Identifier: Apache-2.0
"""The machine's setting is raised once and put back to what it was."""

from __future__ import annotations

from pathlib import Path

from lab.kernel import raise_limit, restore_limit


def test_raised_and_put_back(tmp_path: Path) -> None:
    setting, record = tmp_path / "setting", tmp_path / "run" / "record"
    setting.write_text("128\n")

    assert raise_limit(setting, record)
    assert setting.read_text() == "1024\n"
    # A second lab finds it raised, and must not write that down as what it was.
    assert not raise_limit(setting, record)
    assert restore_limit(setting, record)
    assert setting.read_text() == "128\n"
    assert not record.parent.exists()
    assert not restore_limit(setting, record)


def test_a_higher_value_is_left_alone(tmp_path: Path) -> None:
    setting, record = tmp_path / "setting", tmp_path / "run" / "record"
    setting.write_text("8192\n")

    assert not raise_limit(setting, record)
    assert setting.read_text() == "8192\n"
