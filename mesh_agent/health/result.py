# SPDX-License-Identifier: Apache-2.0
"""What a probe says when it did not find the application well."""

from __future__ import annotations


class Unhealthy(Exception):  # noqa: N818 - an answer of the application, not an error of ours
    """The application is not well, or does not answer; the text is for people."""
