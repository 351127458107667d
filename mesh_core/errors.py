# SPDX-License-Identifier: Apache-2.0
"""The errors that a person reads.

MeshError            anything expected that went wrong; its text stands alone
  ConfigError        bad input: names where, what was found, what was expected
"""

from __future__ import annotations


class MeshError(Exception):
    """Expected failure with a message for the operator; no traceback is shown for it."""


class ConfigError(MeshError):
    """Bad input. ``where`` is a file and the path in it, ``problem`` what is wrong with it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem
