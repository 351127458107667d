# SPDX-License-Identifier: Apache-2.0
"""Objects from a directory of YAML, watched. What becomes bad keeps its last good version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from mesh_control.model import Document
from mesh_control.objects.load import Loaded, Reader, load, no_reader
from mesh_control.objects.problems import Problem, Severity
from mesh_control.objects.supported import Supported
from mesh_control.sources.directory import Fingerprint, fingerprint, read
from mesh_control.sources.last_good import LastGood, Settled, settle
from mesh_core.clock import Clock

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# Several files are replaced one after the other: wait until none has changed for so long.
QUIET_SECONDS = 0.2
# Something that changes all the time must not keep everything else waiting.
LONGEST_WAIT_SECONDS = 5.0


class FileSource:
    """A `Source`: the ``*.yaml``, ``*.yml`` and ``*.json`` files of one directory, not below.

    ``last_good`` is a directory of its own that keeps the good versions over restarts.
    """

    def __init__(
        self,
        directory: Path,
        supported: Supported,
        clock: Clock,
        *,
        reader: Reader = no_reader,
        last_good: Path | None = None,
    ) -> None:
        self._directory = directory
        self._supported = supported
        self._clock = clock
        self._reader = reader
        self._good = LastGood(last_good)
        self._problems: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files as they are now."""
        return self._problems

    async def watch(self) -> AsyncGenerator[tuple[Document, ...], None]:
        """Yield the documents now and after each change that makes a difference."""
        seen: Fingerprint | None = None
        served: tuple[Document, ...] | None = None
        while True:
            current = await asyncio.to_thread(fingerprint, self._directory)
            if served is None or current != seen:
                # Taken before reading: a change meanwhile is seen at the next poll.
                seen = await self._quiet(current)
                settled = await asyncio.to_thread(self._settle)
                self._report(settled.problems)
                if settled.documents != served:
                    served = settled.documents
                    yield served
            await self._clock.sleep(POLL_SECONDS)

    async def _quiet(self, current: Fingerprint | None) -> Fingerprint | None:
        began = self._clock.monotonic()
        while self._clock.monotonic() - began < LONGEST_WAIT_SECONDS:
            await self._clock.sleep(QUIET_SECONDS)
            later = await asyncio.to_thread(fingerprint, self._directory)
            if later == current:
                break
            current = later
        return current

    def _settle(self) -> Settled:
        try:
            content = read(self._directory)
        except OSError as error:
            # Not the same as an empty directory: nobody has taken the objects away.
            loaded = self._load(self._good.texts)
            problem = Problem(str(self._directory), _unreadable(error))
            return Settled(self._good.texts, loaded.documents, (problem, *loaded.problems))
        settled = settle(content, self._good.texts, self._load)
        self._good.keep(settled.texts)
        return settled

    def _load(self, files: Mapping[str, str]) -> Loaded:
        return load(files, self._supported, self._reader)

    def _report(self, problems: tuple[Problem, ...]) -> None:
        known = {str(problem) for problem in self._problems}
        for problem in problems:
            if str(problem) not in known:
                level = logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING
                log.log(level, "%s", problem)
        if self._problems and not problems:
            log.info("the objects in %s are all right again", self._directory)
        self._problems = problems


def check(directory: Path, supported: Supported, reader: Reader = no_reader) -> list[Problem]:
    """Return everything that is wrong in a directory of objects, as it would be when served."""
    try:
        content = read(directory)
    except OSError as error:
        return [Problem(str(directory), _unreadable(error))]
    loaded = load(content.files, supported, reader)
    return [*content.unreadable.values(), *content.advice, *loaded.problems]


def _unreadable(error: OSError) -> str:
    reason = (error.strerror or str(error)).lower()
    return f"expected a directory of YAML files: {reason}"
