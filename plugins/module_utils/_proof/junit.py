# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""verify.xml: the run as JUnit XML, one test case for each call."""

from __future__ import annotations

import typing as t
from xml.etree import ElementTree

from .results import NOT_MADE, Call, Report, stamp

_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "?")
_SUITE = "hybrid.mesh verify"


def to_junit(report: Report) -> str:
    """The document, as text in UTF-8."""
    errors = sum(call.outcome == NOT_MADE for call in report.calls)
    numbers = {
        "name": _SUITE,
        "tests": str(len(report.calls)),
        "failures": str(len(report.failed) - errors),
        "errors": str(errors),
        "skipped": "0",
        "time": f"{sum(float(call.result['seconds']) for call in report.calls):.3f}",
        "timestamp": stamp(report.finished).rstrip("Z"),
    }
    suites = ElementTree.Element("testsuites", _without(numbers, "timestamp", "skipped"))
    suite = ElementTree.SubElement(suites, "testsuite", numbers)
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("mesh", report.mesh), ("trust_domain", report.trust_domain)):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for call in report.calls:
        suite.append(_case(call))
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _case(call: Call) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        {
            "classname": _clean(f"mesh.{call.source}"),
            "name": _clean(f"{call.number:03d} {call.title}: {call.expect}"),
            "time": f"{float(call.result['seconds']):.3f}",
        },
    )
    if not call.ok:
        kind = "error" if call.outcome == NOT_MADE else "failure"
        problem = ElementTree.SubElement(
            case, kind, {"type": call.outcome, "message": _clean(call.reason)}
        )
        problem.text = _clean("\n".join([call.url, call.reason, call.text("body")]).strip())
    output = ElementTree.SubElement(case, "system-out")
    output.text = _clean("\n".join(_evidence(call)))
    return case


def _evidence(call: Call) -> t.Iterator[str]:
    yield f"url: {call.url}"
    yield f"outcome: {call.outcome} ({call.reason})"
    for endpoint in call.result["endpoints"]:
        known = {key: value for key, value in endpoint.items() if value is not None}
        yield ", ".join(f"{key}: {value}" for key, value in known.items())
    if call.result["answers"]:
        yield f"answers: {call.result['answers']}"


def _without(values: t.Mapping[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in values.items() if key not in keys}


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold, lone surrogates among them."""
    return text.encode("utf-8", "replace").decode("utf-8").translate(_CONTROL)
