# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The table of verify.html."""

from __future__ import annotations

import typing as t
from html import escape

from .results import Call, Report

_NONE = '<span class="none">&ndash;</span>'


def to_rows(report: Report) -> str:
    """The table, with one row for each call."""
    heads = (
        "#",
        "Call",
        "Expected",
        "Outcome",
        "Peer's identity",
        "Certificate",
        "TLS",
        "Path",
    )
    row = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "\n".join(_row(call, report) for call in report.calls)
    return (
        f'<section class="card wide"><table>\n<thead><tr>{row}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></section>"
    )


def _row(call: Call, report: Report) -> str:
    ends = call.result["endpoints"]
    outcome = call.outcome if call.ok else "failed"
    cells = [
        f"<td>{call.number}</td>",
        f'<td class="call">{arrowed(call)}<small class="mono">{_breakable(call.url)}</small>'
        f"{_spread(call)}{_body(call)}</td>",
        f"<td>{escape(call.expect)}</td>",
        f'<td class="outcome"><span class="badge {outcome}">{escape(call.outcome)}</span>'
        f"<small{'' if call.ok else ' class=reason'}>{escape(call.reason)}</small></td>",
        _peers(sorted({end["peer"] for end in ends if end["peer"]}), report),
        _cell([_certificate(end, report) for end in ends if end["serial"]]),
        _cell(sorted({escape(end["tls"].replace("TLSv", "")) for end in ends if end["tls"]})),
        _cell(_paths(call)),
    ]
    fate = "" if call.ok else ' class="failed"'
    return f'<tr id="call-{call.number}"{fate}>{"".join(cells)}</tr>'


def arrowed(call: Call) -> str:
    """web -> api.shop, with an arrow for print."""
    return (
        f'<b>{escape(call.source)}</b><span class="to" aria-label="to">&rarr;</span>'
        f"<b>{escape(call.name)}</b>"
    )


def _spread(call: Call) -> str:
    count = call.result["count"] or 0
    if count <= 1:
        return ""
    answers = ", ".join(
        f"{escape(value)}&nbsp;{number}" for value, number in call.result["answers"].items()
    )
    return f"<small>{count} calls{': ' if answers else ''}{answers}</small>"


def _body(call: Call) -> str:
    body = call.text("body").strip()
    if not body or body in call.reason:
        return ""
    return f"<details><summary>Answer</summary><pre>{escape(body)}</pre></details>"


def _peers(peers: t.Sequence[str], report: Report) -> str:
    return _cell(
        [
            f'<span title="{escape(peer)}">{escape(report.identity(peer))}</span>'
            f'<small class="mono">{_breakable(peer)}</small>'
            for peer in peers
        ],
        nowrap=False,
    )


def _certificate(end: t.Mapping[str, t.Any], report: Report) -> str:
    """The end of a serial number tells certificates apart; the pointer shows the whole."""
    serial = end["serial"]
    short = f"&hellip;{escape(serial[-10:])}" if len(serial) > 12 else escape(serial)
    code = f'<code title="{escape(serial)}">{short}</code>'
    if not end["not_after"]:
        return code
    left = report.expiry(end["not_after"])
    return f'{code}<small title="{escape(end["not_after"])}">{left} left</small>'


def _paths(call: Call) -> list[str]:
    return [
        f"via {escape(call.gateway or 'gateway')}<small>{escape(path.partition(' ')[2])}</small>"
        if path.startswith("gateway ")
        else f"{escape(path)}<small>{'<br>'.join(map(escape, _upstreams(call, path)))}</small>"
        for path in sorted({end["path"] for end in call.result["endpoints"]})
    ]


def _upstreams(call: Call, path: str) -> list[str]:
    return sorted({end["upstream"] for end in call.result["endpoints"] if end["path"] == path})


def _breakable(text: str) -> str:
    """A long word that may be broken after a slash."""
    return escape(text).replace("/", "/<wbr>").replace("/<wbr>/<wbr>", "//")


def _cell(texts: t.Sequence[str], *, nowrap: bool = True) -> str:
    blocks = "".join(f'<span class="peer">{text}</span>' for text in texts) or _NONE
    return f'<td class="nowrap">{blocks}</td>' if nowrap else f"<td>{blocks}</td>"
