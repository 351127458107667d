# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""verify.html: one page without scripts and without anything from elsewhere."""

from __future__ import annotations

from html import escape

from .outcome import ALLOWED, FORBIDDEN, REFUSED, UNREACHABLE
from .picture import to_svg
from .results import Report, stamp
from .rows import arrowed, to_rows
from .style import STYLE

#: Rows whose arrows light up when the pointer is on them; each costs a line of style.
_LINKED_ROWS = 300

_YES = "M8 15.500l5 5 9.500-10.500"
_NO = "M10 10l10 10M20 10L10 20"
#: Outcome, what it means, and its arrow in a field of 40 by 14.
_LEGEND = (
    (
        ALLOWED,
        "answered",
        '<path class="way" d="M1 7H32"/><g class="mark" transform="translate(39 7)">'
        '<path class="head" d="M-9 -5L0 0L-9 5Z"/></g>',
    ),
    (
        FORBIDDEN,
        "HTTP 403 by the peer's policy",
        '<path class="way" d="M1 7H26"/><g class="mark" transform="translate(33 7)">'
        '<circle r="5.500"/><path d="M-3.900 -3.900L3.900 3.900"/></g>',
    ),
    (
        REFUSED,
        "connection refused or closed",
        '<path class="way" d="M1 7H28"/><g class="mark" transform="translate(33 7)">'
        '<path d="M-4.500 -4.500L4.500 4.500M-4.500 4.500L4.500 -4.500"/></g>',
    ),
    (
        UNREACHABLE,
        "no way there",
        '<path class="way" d="M1 7H34"/><g class="mark" transform="translate(36 7)">'
        '<path d="M0 -6V6"/></g>',
    ),
)


def to_page(report: Report) -> str:
    """The whole document."""
    title = f"{report.mesh}: {report.headline}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}{_links(report)}</style>",
        "</head>",
        "<body>",
        "<main>",
        _header(report),
        _failures(report),
        f'<figure class="card"><div class="wide">\n{to_svg(report)}\n</div>',
        f"{_legend(report)}</figure>",
        to_rows(report),
        _footer(),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _links(report: Report) -> str:
    """Pointing at a row leaves its arrow alone in the picture."""
    numbers = [call.number for call in report.calls[:_LINKED_ROWS]]
    shown = ",".join(f"main:has(#call-{n}:hover) .n{n}" for n in numbers)
    return f"main:has(tbody tr:hover) .arrow{{opacity:.13}}\n{shown}{{opacity:1!important}}\n"


def _header(report: Report) -> str:
    bad = bool(report.failed)
    parts = [f"Mesh {escape(report.mesh)}"]
    if report.trust_domain:
        parts.append(f"trust domain {escape(report.trust_domain)}")
    parts.append(f"{stamp(report.finished)[:10]} {stamp(report.finished)[11:16]} UTC")
    counts = [
        (report.count(ALLOWED), ALLOWED, ALLOWED),
        (report.count(FORBIDDEN), FORBIDDEN, FORBIDDEN),
        (report.count(REFUSED), REFUSED, REFUSED),
        (report.count(UNREACHABLE), UNREACHABLE, UNREACHABLE),
        (len(report.failed), "failed", "not as expected"),
    ]
    facts = [
        f'<div><dt>{label}</dt><dd class="{tone}">{number}</dd></div>'
        for number, tone, label in counts
        if number
    ]
    certificates = report.certificates
    if certificates:
        facts.append(f"<div><dt>certificates seen</dt><dd>{len(certificates)}</dd></div>")
        first = report.expiry(min(certificates.values()))
        facts.append(f"<div><dt>until the first one expires</dt><dd>{first}</dd></div>")
    return (
        "<header>\n<div>\n"
        f"<p>{' &middot; '.join(parts)}</p>\n"
        f"<h1{' class=failed' if bad else ''}>"
        f'<svg class="verdict" viewBox="0 0 30 30" aria-hidden="true">'
        f'<path d="{_NO if bad else _YES}"/></svg>{escape(report.headline)}</h1>\n'
        "</div>\n"
        f'<dl class="facts">\n{"".join(facts)}\n</dl>\n</header>'
    )


def _failures(report: Report) -> str:
    if not report.failed:
        return ""
    items = "\n".join(
        f'<li value="{call.number}"><a href="#call-{call.number}">{arrowed(call)}</a>:'
        f" {escape(call.reason)}</li>"
        for call in report.failed
    )
    return (
        f'<section class="card failures"><h2>Not as expected</h2>\n<ol>\n{items}\n</ol></section>'
    )


def _legend(report: Report) -> str:
    texts = [
        f'<span><svg viewBox="0 0 40 14" class="arrow {tone}" aria-hidden="true">{drawing}</svg>'
        f"<span>{tone}: {text}</span></span>"
        for tone, text, drawing in _LEGEND
        if report.count(tone)
    ]
    if report.failed:
        texts.append(
            '<span><svg viewBox="0 0 40 14" class="arrow failed" aria-hidden="true">'
            '<path class="way" d="M1 7H39"/></svg>'
            "<span>in this colour: not as expected</span></span>"
        )
    texts.append(
        '<span><svg class="small" viewBox="-1 -1 10 13" aria-hidden="true"><path class="lock"'
        ' d="M0 4.500h8v6h-8zM1.800 4.500v-1.700a2.200 2.200 0 0 1 4.400 0v1.700"/></svg>'
        "<span>mutual TLS, the peer's identity seen in its certificate</span></span>"
    )
    return f"<figcaption>{''.join(texts)}</figcaption>\n"


def _footer() -> str:
    return (
        "<footer>Every row is a real call from the host that it names, made by the hybrid.mesh"
        " playbook verify. Identity, certificate, TLS version and path are what that host's own"
        " proxy saw of its peer.</footer>"
    )
