# SPDX-License-Identifier: Apache-2.0
"""Which version of each file serves: the one that stands there, or the last good one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh_control.model import Document
from mesh_control.objects.load import Loaded
from mesh_control.objects.problems import Kind, Problem, Severity
from mesh_control.sources.directory import Content, read
from mesh_core.files import write_atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """A set of texts without errors, their documents, and the problems on the way there."""

    texts: Mapping[str, str]
    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def settle(
    content: Content, good: Mapping[str, str], load: Callable[[Mapping[str, str]], Loaded]
) -> Settled:
    """Choose a version of every file such that the whole has no error. Pure.

    A file with an error goes back to its last good text, or is left out when it has none; it is
    never applied in part. Of two files that define the same object, the one that changed goes
    back, and of two that changed, the second one.
    """
    problems = {str(p): p for p in (*content.unreadable.values(), *content.advice)}
    texts = dict(content.files)
    texts.update({name: good[name] for name in content.unreadable if name in good})
    while True:
        loaded = load(texts)
        problems.update((str(problem), problem) for problem in loaded.problems)
        errors = [p for p in loaded.problems if p.severity is Severity.ERROR]
        if not errors:
            break
        for name in {_culprit(problem, texts, good) for problem in errors}:
            if good.get(name, texts[name]) == texts[name]:
                del texts[name]
            else:
                texts[name] = good[name]
    for name in sorted({*content.files, *content.unreadable}):
        if name not in texts:
            note = "nothing of it is applied"
        elif texts[name] != content.files.get(name):
            note = "its last good version keeps serving"
        else:
            continue
        problem = Problem(name, note, kind=Kind.ADVICE)
        problems[str(problem)] = problem
    return Settled(texts, loaded.documents, tuple(problems.values()))


def _culprit(problem: Problem, texts: Mapping[str, str], good: Mapping[str, str]) -> str:
    """Return the file to take back: of several, one that is not in its last good version."""
    names = (problem.file, *problem.others)
    changed = [name for name in names if texts[name] != good.get(name)]
    return changed[0] if changed else problem.file


class LastGood:
    """The last good text of each file, kept in a directory over restarts if there is one."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self.texts: Mapping[str, str] = {}
        if directory is not None and directory.is_dir():
            self.texts = read(directory).files

    def keep(self, texts: Mapping[str, str]) -> None:
        """Remember ``texts`` and forget all others. A failure to write is logged."""
        old, self.texts = self.texts, dict(texts)
        if self._directory is None:
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, text in texts.items():
                if old.get(name) != text:
                    write_atomic(self._directory / name, text, 0o600)
            for name in old.keys() - texts.keys():
                (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            log.error("the last good objects were not kept in %s: %s", self._directory, error)
