# SPDX-License-Identifier: Apache-2.0
"""Istio's ways to write a pattern -> Envoy's matchers."""

from __future__ import annotations

import re

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2, string_pb2

from mesh_control.translate.api.virtual_service import StringMatch


def regex(pattern: str) -> regex_pb2.RegexMatcher:
    """Return a matcher of the whole text by RE2."""
    return regex_pb2.RegexMatcher(regex=pattern)


def wildcard(
    pattern: str, *, prefix: str = "", ignore_case: bool = False
) -> string_pb2.StringMatcher:
    """Return ``text``, ``text*``, ``*text`` or ``*`` (anything but nothing), after ``prefix``."""
    if pattern == "*":
        return string_pb2.StringMatcher(safe_regex=regex(".+"))
    if pattern.startswith("*"):
        if prefix:
            whole = f"{re.escape(prefix)}.*{re.escape(pattern[1:])}"
            return string_pb2.StringMatcher(safe_regex=regex(whole))
        return string_pb2.StringMatcher(suffix=pattern[1:], ignore_case=ignore_case)
    if pattern.endswith("*"):
        return string_pb2.StringMatcher(prefix=prefix + pattern[:-1], ignore_case=ignore_case)
    return string_pb2.StringMatcher(exact=prefix + pattern, ignore_case=ignore_case)


def wildcard_header(
    name: str, pattern: str, *, ignore_case: bool = False
) -> route_components_pb2.HeaderMatcher:
    """Return a header that is there (``*``) or matches a `wildcard` pattern."""
    if pattern == "*":
        return route_components_pb2.HeaderMatcher(name=name, present_match=True)
    return route_components_pb2.HeaderMatcher(
        name=name, string_match=wildcard(pattern, ignore_case=ignore_case)
    )


def text(match: StringMatch) -> string_pb2.StringMatcher | None:
    """Return the matcher of a StringMatch; None when it only asks for presence."""
    if match.exact is not None:
        return string_pb2.StringMatcher(exact=match.exact)
    if match.prefix:
        return string_pb2.StringMatcher(prefix=match.prefix)
    if match.regex is not None and match.regex != "*":
        return string_pb2.StringMatcher(safe_regex=regex(match.regex))
    return None


def header(name: str, match: StringMatch) -> route_components_pb2.HeaderMatcher:
    """Return a header that matches."""
    value = text(match)
    if value is None:
        return route_components_pb2.HeaderMatcher(name=name, present_match=True)
    return route_components_pb2.HeaderMatcher(name=name, string_match=value)


def query_parameter(name: str, match: StringMatch) -> route_components_pb2.QueryParameterMatcher:
    """Return a query parameter that matches."""
    value = text(match)
    if value is None:
        return route_components_pb2.QueryParameterMatcher(name=name, present_match=True)
    return route_components_pb2.QueryParameterMatcher(name=name, string_match=value)
