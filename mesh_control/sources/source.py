# SPDX-License-Identifier: Apache-2.0
"""What every source of objects offers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from mesh_control.model import Document
from mesh_control.objects.problems import Problem


class Source(Protocol):
    """A place that holds API objects and changes."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the objects as they stand there now; empty when all is well."""

    def watch(self) -> AsyncGenerator[tuple[Document, ...], None]:
        """Yield all documents that hold: at once, and again after each change. Never ends.

        A set is whole and free of errors: objects that have some are left out, or are there in
        their last good version.
        """
