# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The same question about many things at once."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import BootstrapError

Key = t.TypeVar("Key")
Value = t.TypeVar("Value")
_THREADS = 8


def gather(
    keys: t.Iterable[Key], read: t.Callable[[Key], Value]
) -> tuple[dict[Key, Value], dict[Key, str]]:
    """``read`` of each different key: the values, and the errors in words of those that failed."""
    values: dict[Key, Value] = {}
    errors: dict[Key, str] = {}

    def attempt(key: Key) -> None:
        try:
            values[key] = read(key)
        except BootstrapError as error:
            errors[key] = str(error)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(attempt, dict.fromkeys(keys)))
    return values, errors
