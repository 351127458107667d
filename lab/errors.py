# SPDX-License-Identifier: Apache-2.0
"""The one error that the lab shows to a person."""

from __future__ import annotations


class LabError(Exception):
    """Says what was found, where, and what to do; shown without a traceback."""
