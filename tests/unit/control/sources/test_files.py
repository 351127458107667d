# SPDX-License-Identifier: Apache-2.0
"""A watched directory of real files."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh_control.model import Document
from mesh_control.sources.files import QUIET_SECONDS, FileSource, check

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{ports: [{{port: {port}}}]}}
"""


def service(name: str, port: object = 80) -> str:
    return SERVICE.format(name=name, port=port)


def names(documents: tuple[Document, ...]) -> list[str]:
    return [document.name for document in documents]


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    directory = tmp_path / "objects"
    directory.mkdir()
    (directory / "a.yaml").write_text(service("a"))
    return directory


@pytest.fixture
async def changes(objects: Path, clock: Any, tmp_path: Path) -> AsyncIterator[Changes]:
    changes = Changes(objects, clock, tmp_path / "good")
    yield changes
    await changes.close()


class Changes:
    """A source whose next set is asked for after a change of its directory."""

    def __init__(self, directory: Path, clock: Any, last_good: Path | None) -> None:
        self.directory = directory
        self.clock = clock
        self.last_good = last_good
        self.start()

    def start(self) -> None:
        self.source = FileSource(self.directory, {}, self.clock, last_good=self.last_good)
        self._sets = self.source.watch()

    async def next(self) -> list[str]:
        return names(await anext(self._sets))

    async def polled(self, times: int = 3) -> None:
        """Let the source poll so often without a new set."""
        polls = 0

        class EnoughError(Exception):
            pass

        def on_sleep(seconds: float) -> None:
            nonlocal polls
            polls += seconds > QUIET_SECONDS
            if polls > times:
                raise EnoughError

        self.clock.on_sleep = on_sleep
        with pytest.raises(EnoughError):
            await anext(self._sets)
        self.clock.on_sleep = lambda seconds: None
        self._sets = self._resumed()

    def _resumed(self) -> Any:
        # A generator that raised is over; what the source knows stays.
        problems = self.source.problems
        watch = self.source.watch()
        assert self.source.problems == problems
        return watch

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(text)
        os.utime(path, ns=(before + 10**9, before + 10**9))

    def lines(self) -> list[str]:
        return [str(problem) for problem in self.source.problems]

    async def close(self) -> None:
        await self._sets.aclose()


async def test_the_first_set_comes_at_once(changes: Changes) -> None:
    assert await changes.next() == ["a"]
    assert changes.source.problems == ()


async def test_a_change_a_new_file_and_a_removed_file_yield_new_sets(changes: Changes) -> None:
    await changes.next()
    changes.write("b.yml", service("b"))
    assert await changes.next() == ["a", "b"]
    changes.write("a.yaml", service("c"))
    assert await changes.next() == ["c", "b"]
    (changes.directory / "a.yaml").unlink()
    assert await changes.next() == ["b"]


async def test_other_files_are_not_read(changes: Changes) -> None:
    changes.write("readme.txt", "no object")
    changes.write(".b.yaml.1a2b", service("b"))
    changes.write(".c.yaml", service("c"))
    (changes.directory / "more").mkdir()
    assert await changes.next() == ["a"]
    assert changes.lines() == ["more/: is a directory; its files are not read"]


async def test_a_file_that_became_bad_keeps_its_last_good_version(
    changes: Changes, caplog: pytest.LogCaptureFixture
) -> None:
    changes.write("b.yaml", service("b") + "---" + service("b2"))
    assert await changes.next() == ["a", "b", "b2"]
    changes.write("b.yaml", service("b3") + "---" + service("b2", port="x"))
    changes.write("a.yaml", service("a2"))
    assert await changes.next() == ["a2", "b", "b2"]
    expected = [
        "b.yaml[1] Service shop/b2: spec.ports[0].port: expected a port (1 to 65535), "
        "found 'x' (line 10)",
        "b.yaml: its last good version keeps serving",
    ]
    assert changes.lines() == expected
    logged = [(r.levelno, r.message) for r in caplog.records if r.levelno >= logging.WARNING]
    assert logged == [(logging.ERROR, expected[0]), (logging.WARNING, expected[1])]
    changes.write("b.yaml", service("b4"))
    assert await changes.next() == ["a2", "b4"]
    assert changes.source.problems == ()


async def test_a_file_that_was_never_good_is_not_applied_in_part(changes: Changes) -> None:
    changes.write("b.yaml", service("b") + "---\nkind: Nothing\n")
    assert await changes.next() == ["a"]
    assert changes.lines()[-1] == "b.yaml: nothing of it is applied"


async def test_the_last_good_version_survives_a_restart(changes: Changes) -> None:
    assert await changes.next() == ["a"]
    changes.write("a.yaml", "not: [yaml")
    await changes.close()
    changes.start()
    assert await changes.next() == ["a"]
    assert changes.lines()[-1] == "a.yaml: its last good version keeps serving"


async def test_a_removed_file_does_not_come_back_after_a_restart(changes: Changes) -> None:
    changes.write("b.yaml", service("b"))
    await changes.next()
    (changes.directory / "b.yaml").unlink()
    assert await changes.next() == ["a"]
    await changes.close()
    changes.start()
    assert await changes.next() == ["a"]
    assert [path.name for path in (changes.last_good or Path()).iterdir()] == ["a.yaml"]


async def test_a_bad_file_without_a_change_of_the_rest_yields_nothing(changes: Changes) -> None:
    await changes.next()
    changes.write("b.yaml", "x: 1")
    await changes.polled()
    assert changes.lines() == [
        "b.yaml[0]: kind: expected the kind of an object, found nothing (line 1)",
        "b.yaml: nothing of it is applied",
    ]


async def test_of_two_files_with_one_object_the_one_that_changed_goes_back(
    changes: Changes,
) -> None:
    await changes.next()
    changes.write("0.yaml", service("a", port=81) + "---" + service("zero"))
    await changes.polled()
    assert await changes.next() == ["a"]
    assert changes.lines() == [
        "a.yaml[0] Service shop/a: is already defined in 0.yaml[0]",
        "0.yaml: nothing of it is applied",
    ]


async def test_an_object_that_moves_to_another_file(changes: Changes) -> None:
    changes.write("b.yaml", service("b"))
    await changes.next()
    changes.write("a.yaml", service("a2"))
    changes.write("b.yaml", service("b") + "---" + service("a"))
    assert await changes.next() == ["a2", "b", "a"]


async def test_an_object_that_moves_out_of_a_file_that_became_bad(changes: Changes) -> None:
    """The old version of a.yaml has it still, so the new one of b.yaml cannot hold."""
    changes.write("b.yaml", service("b"))
    await changes.next()
    changes.write("a.yaml", service("a2", port=0))
    changes.write("b.yaml", service("b") + "---" + service("a"))
    changes.write("c.yaml", service("c"))
    assert await changes.next() == ["a", "b", "c"]
    notes = [line for line in changes.lines() if "keeps serving" in line]
    assert [note.split(":")[0] for note in notes] == ["a.yaml", "b.yaml"]


async def test_a_directory_that_is_gone_is_not_an_empty_one(changes: Changes) -> None:
    await changes.next()
    away = changes.directory.rename(changes.directory.with_name("away"))
    await changes.polled()
    (problem,) = changes.source.problems
    expected = f"{changes.directory}: expected a directory of YAML files: no such file or directory"
    assert str(problem) == expected
    assert await changes.next() == ["a"]
    away.rename(changes.directory)
    changes.write("b.yaml", service("b"))
    assert await changes.next() == ["a", "b"]
    assert changes.source.problems == ()


async def test_a_file_that_is_no_text_keeps_its_last_good_version(changes: Changes) -> None:
    await changes.next()
    (changes.directory / "a.yaml").write_bytes(b"a: \xff\n")
    (changes.directory / "b.yaml").symlink_to("nowhere")
    await changes.polled()
    assert changes.lines() == [
        "a.yaml: expected UTF-8 text, found byte 0xff at offset 3",
        "b.yaml: is a link to nothing",
        "a.yaml: its last good version keeps serving",
        "b.yaml: nothing of it is applied",
    ]
    assert await changes.next() == ["a"]


async def test_files_that_are_replaced_one_after_the_other_are_one_change(
    changes: Changes,
) -> None:
    await changes.next()
    waiting = iter(["c", "d"])

    def on_sleep(seconds: float) -> None:
        if seconds == QUIET_SECONDS and (name := next(waiting, None)):
            changes.write(f"{name}.yaml", service(name))

    changes.clock.on_sleep = on_sleep
    changes.write("b.yaml", service("b"))
    assert await changes.next() == ["a", "b", "c", "d"]


async def test_a_directory_that_never_rests_is_read_after_a_while(changes: Changes) -> None:
    await changes.next()
    began, count = changes.clock.elapsed, 0

    def on_sleep(seconds: float) -> None:
        nonlocal count
        count += 1
        changes.write("b.yaml", service(f"b{count}"))

    changes.clock.on_sleep = on_sleep
    assert (await changes.next())[0] == "a"
    assert 5 <= changes.clock.elapsed - began < 8


async def test_without_a_place_for_good_versions_they_are_kept_in_memory(
    objects: Path, clock: Any
) -> None:
    changes = Changes(objects, clock, None)
    assert await changes.next() == ["a"]
    changes.write("a.yaml", "x")
    changes.write("b.yaml", service("b"))
    assert await changes.next() == ["a", "b"]
    await changes.close()


async def test_good_versions_that_cannot_be_written_are_logged(
    objects: Path, clock: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    changes = Changes(objects, clock, tmp_path / "file" / "good")
    assert await changes.next() == ["a"]
    assert "the last good objects were not kept" in caplog.text
    await changes.close()


def test_check_names_everything_and_changes_nothing(objects: Path) -> None:
    (objects / "b.yaml").write_text(service("b", port=0) + "---" + service("a"))
    before = sorted(objects.parent.rglob("*"))
    assert [str(problem) for problem in check(objects, {})] == [
        "b.yaml[0] Service shop/b: spec.ports[0].port: expected a port (1 to 65535), "
        "found 0 (line 5)",
        "b.yaml[1] Service shop/a: is already defined in a.yaml[0]",
    ]
    assert sorted(objects.parent.rglob("*")) == before


def test_check_of_no_directory(tmp_path: Path) -> None:
    (problem,) = check(tmp_path / "none", {})
    assert str(problem).endswith(
        "none: expected a directory of YAML files: no such file or directory"
    )


def test_check_of_a_file_that_may_not_be_read(objects: Path, monkeypatch: Any) -> None:
    def refuse(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    (problem,) = check(objects, {})
    assert str(problem) == "a.yaml: cannot be read: permission denied"
