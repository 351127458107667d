# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The run as a table on a terminal, as wide as the terminal is.

Where one line for each call is too long, the evidence goes to a second one.
"""

from __future__ import annotations

import textwrap
import typing as t
from dataclasses import dataclass

from .results import Call, Report

_GAP = "  "
_INDENT = 4


@dataclass(frozen=True)
class Line:
    """A line of text; mood: ok, failed, or plain."""

    text: str
    mood: str = "plain"


@dataclass(frozen=True)
class _Column:
    """least: characters that it may be shortened to, 0 for none."""

    title: str
    cell: t.Callable[[Report, Call], str]
    least: int = 0


def _repeated(call: Call) -> str:
    count = call.result["count"] or 0
    spread = " ".join(f"{value}={number}" for value, number in call.result["answers"].items())
    if count <= 1:
        return call.name
    return f"{call.name} x{count}" + (f" ({spread})" if spread else "")


def _path(call: Call) -> str:
    """direct, or via and the name or address of a gateway."""
    kind, _space, address = call.text("path").partition(" ")
    return f"via {call.gateway or address}" if kind == "gateway" else kind


def _serial(call: Call) -> str:
    """The end of the serial number, and how many other certificates there were."""
    serials = {endpoint["serial"] for endpoint in call.result["endpoints"] if endpoint["serial"]}
    more = f" +{len(serials) - 1}" if len(serials) > 1 else ""
    return f"{call.text('serial')[-8:]}{more}"


def _expiry(report: Report, call: Call) -> str:
    """Of the certificate that expires first."""
    ends = [end["not_after"] for end in call.result["endpoints"] if end["not_after"]]
    return report.expiry(min(ends)) if ends else ""


_NUMBER = _Column("#", lambda report, call: str(call.number))
_FROM = _Column("FROM", lambda report, call: call.source, least=6)
_CALL = _Column("CALL", lambda report, call: _repeated(call), least=16)
_EXPECTED = _Column("EXPECTED", lambda report, call: call.expect)
_OUTCOME = _Column("OUTCOME", lambda report, call: call.outcome)
_PEER = _Column("PEER", lambda report, call: report.identity(call.text("peer")))
_SERIAL = _Column("SERIAL", lambda report, call: _serial(call))
_EXPIRES = _Column("EXPIRES IN", _expiry)
_TLS = _Column("TLS", lambda report, call: call.text("tls").replace("TLSv", ""))
_PATH = _Column("PATH", lambda report, call: _path(call), least=8)
_VERDICT = _Column("", lambda report, call: "ok" if call.ok else "FAILED")

_WIDE = (
    _NUMBER,
    _FROM,
    _CALL,
    _EXPECTED,
    _OUTCOME,
    _PEER,
    _SERIAL,
    _EXPIRES,
    _TLS,
    _PATH,
    _VERDICT,
)
_NARROW = (_NUMBER, _FROM, _CALL, _EXPECTED, _OUTCOME, _PATH, _VERDICT)
_NARROWER = (_NUMBER, _FROM, _CALL, _OUTCOME, _PATH, _VERDICT)


def to_table(report: Report, width: int) -> list[Line]:
    """The whole text, line by line; no line is wider than width, unless width is tiny."""
    for columns in (_WIDE, _NARROW, _NARROWER):
        widths = _widths(columns, report)
        if _total(widths) <= width:
            break
    widths = _shrunk(widths, columns, width)
    lines = [Line(_row([column.title for column in columns], widths))]
    for call in report.calls:
        cells = [column.cell(report, call) for column in columns]
        mood = "ok" if call.ok else "failed"
        lines.append(Line(_row(cells, widths), mood))
        if columns is not _WIDE:
            lines += [Line(text, mood) for text in _wrapped(_evidence(report, call), width)]
    lines.append(Line(""))
    for call in report.failed:
        text = f"FAILED  {call.number} {call.title}: {call.reason}"
        wrapped = textwrap.wrap(text, max(width, 40), subsequent_indent=" " * 8)
        lines += [Line(part, "failed") for part in wrapped]
    lines.append(Line(f"{report.headline}.", "failed" if report.failed else "ok"))
    return lines


def _widths(columns: t.Sequence[_Column], report: Report) -> list[int]:
    return [
        max(len(column.title), *(len(column.cell(report, call)) for call in report.calls))
        for column in columns
    ]


def _total(widths: t.Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _shrunk(widths: list[int], columns: t.Sequence[_Column], width: int) -> list[int]:
    """Widths whose sum fits, if there is enough to take away."""
    widths = list(widths)
    for _excess in range(_total(widths) - width):
        spare = [
            width - column.least if column.least else 0
            for width, column in zip(widths, columns, strict=True)
        ]
        if max(spare) > 0:
            widths[spare.index(max(spare))] -= 1
    return widths


def _row(cells: t.Sequence[str], widths: t.Sequence[int]) -> str:
    texts = [_shortened(cell, width) for cell, width in zip(cells, widths, strict=True)]
    number, *rest = texts
    padded = [text.ljust(width) for text, width in zip(rest, widths[1:], strict=True)]
    return _GAP.join([number.rjust(widths[0]), *padded]).rstrip()


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 2] + ".."


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(
        text, max(width, 40), initial_indent=indent, subsequent_indent=indent + "  "
    )


def _evidence(report: Report, call: Call) -> str:
    """shop/db, certificate 7a1fc03e, expires in 23 h 20 min, TLS 1.3"""
    if not call.text("peer"):
        return ""
    parts = [_PEER.cell(report, call)]
    if _serial(call):
        parts.append(f"certificate {_serial(call)}")
    if _expiry(report, call):
        parts.append(f"expires in {_expiry(report, call)}")
    if call.text("tls"):
        parts.append(f"TLS {_TLS.cell(report, call)}")
    return ", ".join(parts)
