# SPDX-License-Identifier: Apache-2.0
"""Questions to the programs that the harness runs."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request


def get(url: str, *, context: ssl.SSLContext | None = None, seconds: float = 5.0) -> bytes:
    """The body of the answer; OSError (urllib's errors are such) for any but a success."""
    with urllib.request.urlopen(url, timeout=seconds, context=context) as answer:  # noqa: S310
        return bytes(answer.read())


def answers(url: str, *, context: ssl.SSLContext | None = None) -> bool:
    """Whether a question succeeds."""
    try:
        get(url, context=context)
    except OSError:
        return False
    return True
