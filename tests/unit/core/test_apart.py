# SPDX-License-Identifier: Apache-2.0
"""Processes of our own for what is seldom needed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import yaml

from mesh_agent import ahead
from mesh_core import apart, config, config_reader
from mesh_core.apart import Apart
from mesh_core.errors import ConfigError, MeshError


def test_fragments_are_read_apart_as_here(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mesh: {mesh_id: m, ports: [1, 2.5, true, null]}\n")
    (tmp_path / "b.yaml").write_text("workload: {labels: {since: 2024-01-01}}\n")
    found = config_reader.finish(config_reader.start(tmp_path))
    assert found == config.read_directory(tmp_path)
    assert found.owners == {
        "mesh": str(tmp_path / "a.yaml"),
        "workload": str(tmp_path / "b.yaml"),
    }


def test_what_is_wrong_is_told_as_here(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mesh: [\n")
    with pytest.raises(ConfigError) as here:
        config.read_directory(tmp_path)
    with pytest.raises(ConfigError) as there:
        config_reader.finish(config_reader.start(tmp_path))
    assert str(there.value) == str(here.value)
    assert (there.value.where, there.value.problem) == (here.value.where, here.value.problem)


def test_a_reader_that_dies_is_an_error(tmp_path: Path) -> None:
    reader = config_reader.start(tmp_path)
    reader.process.kill()
    with pytest.raises(MeshError, match="ended before its answer"):
        config_reader.finish(reader)


def test_a_reader_that_hangs_is_an_error_and_ended(tmp_path: Path) -> None:
    reader = config_reader.start(tmp_path)
    reader.process.send_signal(signal.SIGSTOP)
    with pytest.raises(MeshError, match=r"no answer in 0\.1 seconds"):
        config_reader.finish(reader, seconds=0.1)
    assert not reader.alive


def test_code_of_the_current_directory_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pickle", "yaml", "mesh_core"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(1)\n")
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    assert config_reader.finish(config_reader.start(tmp_path / "config")).values == {}


def test_nothing_stays_open_of_one_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError) as found:
        apart.start("mesh_core.absent")
    assert found  # while what was local to the call is alive
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_key_worker_is_started_ahead_for_a_host_without_certificate(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    _read, worker = ahead.begin(tmp_path / "config", tmp_path)
    assert worker
    worker.end()
    assert not worker.alive
    (tmp_path / "identity" / "current").mkdir(parents=True)
    _read, worker = ahead.begin(tmp_path / "config", tmp_path)
    assert worker is None


@pytest.mark.parametrize(
    ("texts", "apart"),
    [
        ([], False),
        (['# Written by a role.\n{"a": {"b": [1, 2.5, true, null, "\\u00e4"]}}\n'], False),
        (['{"a": 1}', "b: 2\n"], True),
        (["# only a comment\n"], True),
    ],
)
def test_only_what_is_not_json_is_read_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str], apart: bool
) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    started = []
    start = config_reader.start

    def noted(directory: Path) -> Apart:
        started.append(directory)
        return start(directory)

    monkeypatch.setattr(config_reader, "start", noted)
    found = config_reader.begin(tmp_path)()
    assert started == ([tmp_path] if apart else [])
    assert found.values == {
        key: value
        for text in texts
        for document in yaml.safe_load_all(text)
        for key, value in (document or {}).items()
    }


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"a\.yaml: expected UTF-8 text"):
        config_reader.begin(tmp_path)()


def test_it_ends_when_we_do() -> None:
    worker = ahead.start_key_worker()
    worker.channel.close()
    assert worker.process.wait(20) == 0


def test_a_module_that_is_not_there_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    child = apart.start("mesh_core.absent")
    assert child.read(20) == b""
    child.end()
    assert "mesh_core.absent" in capfd.readouterr().err
