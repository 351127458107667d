# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The picture of the proved mesh: one SVG element, coloured by the style sheet of its page."""

from __future__ import annotations

import math
import typing as t
from html import escape

from .curves import Curve, Point
from .labels import place_labels
from .layout import Box, Layout, lay_out
from .results import Report
from .routes import find_routes
from .scene import Arrow, Node, make_scene
from .topology import CONTROL_PLANE, GATEWAY, OUTSIDER, WORKLOAD

#: Pixels of a character of a label, and of what stands beside its text.
_CHARACTER = 6.3
_SIDES = 18.0
_LOCK = 15.0
#: Between the end of an arrow's line and the node that it did not get into.
_STAND_OFF = 13.0
#: Around what is drawn outside the networks.
_MARGIN = 8.0

_ICONS = {
    GATEWAY: '<path d="M1 5h12M9 1l4 4-4 4M15 11H3M7 7l-4 4 4 4"/>',
    CONTROL_PLANE: '<path d="M8 1l6 3.5v6L8 14l-6-3.5v-6zM8 7.5l6-3M8 7.5v6.5M8 7.5l-6-3"/>',
    WORKLOAD: ('<path d="M2 2h12v4.500h-12zM2 9h12v4.500h-12zM4.500 4.250h2M4.500 11.250h2"/>'),
    OUTSIDER: '<circle cx="8" cy="7.5" r="6"/><path d="M4 3.5l8 8"/>',
}
_KEYHOLE = (
    '<path class="lock" transform="translate({x} {y})"'
    ' d="M0 4.500h8v6h-8zM1.800 4.500v-1.700a2.200 2.200 0 0 1 4.400 0v1.700"/>'
)


def to_svg(report: Report) -> str:
    """An element without size of its own, as wide as its place in the page."""
    scene = make_scene(report)
    layout = lay_out(scene)
    routes = find_routes(scene.arrows, layout)
    widths = [_label_width(arrow) for arrow in scene.arrows]
    labels = place_labels(routes, widths, layout)
    parts = [_network(name, box) for name, box in layout.networks.items()]
    parts += [_line(arrow, route) for arrow, route in zip(scene.arrows, routes, strict=True)]
    parts += [_node(node, layout.nodes[node.key]) for node in scene.nodes]
    parts += [_label(arrow, box, report) for arrow, box in zip(scene.arrows, labels, strict=True)]
    return _frame(_canvas(layout, routes, labels), parts, report)


def _canvas(layout: Layout, routes: t.Sequence[t.Sequence[Curve]], labels: t.Sequence[Box]) -> Box:
    """All that is drawn: an arrow may go around the networks."""
    points = [point for route in routes for curve in route for point in curve.points()]
    points += [(box.x, box.y) for box in labels]
    points += [(box.x + box.width, box.y + box.height) for box in labels]
    left = min(0.0, *(x - _MARGIN for x, _y in points))
    top = min(0.0, *(y - _MARGIN for _x, y in points))
    right = max(layout.width, *(x + _MARGIN for x, _y in points))
    bottom = max(layout.height, *(y + _MARGIN for _x, y in points))
    return Box(left, top, right - left, bottom - top)


def _frame(canvas: Box, parts: t.Sequence[str], report: Report) -> str:
    body = "\n".join(parts)
    return (
        '<svg class="picture"'
        f' viewBox="{_n(canvas.x)} {_n(canvas.y)} {_n(canvas.width)} {_n(canvas.height)}"'
        f' style="min-width:{canvas.width * 0.7:.0f}px;max-width:{canvas.width * 1.25:.0f}px"'
        ' role="group"'
        f' aria-label="{escape(f"Picture of the mesh {report.mesh}: {report.headline}")}">\n'
        f"{body}\n</svg>"
    )


def _network(name: str, box: Box) -> str:
    return (
        f'<g class="network"><rect {_rect(box)} rx="14"/>'
        f'<text x="{_n(box.x + 20)}" y="{_n(box.y + 29)}">{escape(name)}</text></g>'
    )


def _node(node: Node, box: Box) -> str:
    x, y = box.x + 14, box.y + 25
    icon = _ICONS.get(node.kind, "")
    title = _fit(node.title, 14 if icon else 17)
    texts = [
        f'<text class="line" x="{_n(x)}" y="{_n(y + 17 + 14.5 * index)}">{escape(line)}</text>'
        for index, line in enumerate(node.lines[:3])
    ]
    if len(node.lines) > 2:
        # Three lines stand a little higher than two.
        y -= 6
        texts = [
            f'<text class="line" x="{_n(x)}" y="{_n(y + 15 + 13 * index)}">{escape(line)}</text>'
            for index, line in enumerate(node.lines[:3])
        ]
    return (
        f'<g class="node {node.kind}"><title>{escape(node.details)}</title>'
        f'<rect {_rect(box)} rx="9"/>'
        f'<g class="icon" transform="translate({_n(box.x + box.width - 28)} {_n(box.y + 11)})">'
        f"{icon}</g>"
        f'<text class="name" x="{_n(x)}" y="{_n(y)}">{escape(title)}</text>'
        f"{''.join(texts)}</g>"
    )


def _line(arrow: Arrow, route: t.Sequence[Curve]) -> str:
    """The lines of an arrow and the mark at its end."""
    pieces = []
    for number, curve in enumerate(route):
        last = number == len(route) - 1
        short = 0.0
        if last:
            short = 7.0 if arrow.outcome == "allowed" else _STAND_OFF
        pieces.append(_path(curve, short))
    mark = _mark(arrow, route[-1])
    return f'<g class="{_classes(arrow)}">{"".join(pieces)}{mark}</g>'


def _path(curve: Curve, short: float) -> str:
    """A curve, cut short at its end along its last direction."""
    along = _direction(curve)
    end = (curve.end[0] - along[0] * short, curve.end[1] - along[1] * short)
    points = " ".join(f"{_n(x)} {_n(y)}" for x, y in (curve.first, curve.second, end))
    return f'<path class="way" d="M{_n(curve.start[0])} {_n(curve.start[1])}C{points}"/>'


def _mark(arrow: Arrow, curve: Curve) -> str:
    """An arrow's head for a call that got in, a cross or a barrier in front of the node."""
    along = _direction(curve)
    x, y = curve.end
    if arrow.outcome != "allowed":
        x, y = x - along[0] * _STAND_OFF, y - along[1] * _STAND_OFF
    turn = math.degrees(math.atan2(along[1], along[0]))
    shape = {
        "allowed": '<path class="head" d="M-9 -5L0 0L-9 5Z"/>',
        "forbidden": '<circle r="5.500"/><path d="M-3.900 -3.900L3.900 3.900"/>',
        "refused": '<path d="M-4.500 -4.500L4.500 4.500M-4.500 4.500L4.500 -4.500"/>',
    }.get(arrow.outcome, '<path d="M0 -6V6"/>')
    return f'<g class="mark" transform="translate({_n(x)} {_n(y)}) rotate({_n(turn)})">{shape}</g>'


def _direction(curve: Curve) -> Point:
    x, y = curve.end[0] - curve.second[0], curve.end[1] - curve.second[1]
    length = math.hypot(x, y) or 1.0
    return x / length, y / length


def _label(arrow: Arrow, box: Box, report: Report) -> str:
    x = box.x + _SIDES / 2
    lock = ""
    if arrow.secured:
        lock = _KEYHOLE.format(x=_n(x), y=_n(box.y + 4.2))
        x += _LOCK
    return (
        f'<a href="#call-{arrow.calls[0].number}" class="{_classes(arrow)} label">'
        f"<title>{escape(_story(arrow, report))}</title>"
        f'<rect {_rect(box)} rx="{_n(box.height / 2)}"/>{lock}'
        f'<text x="{_n(x)}" y="{_n(box.y + 14)}">'
        f"<tspan>{escape(arrow.numbers)}</tspan> {escape(arrow.what)}</text></a>"
    )


def _story(arrow: Arrow, report: Report) -> str:
    """What a pointer on an arrow shows: every call, with identity and certificate."""
    lines = []
    for call in arrow.calls[:12]:
        verdict = "as expected" if call.ok else f"expected {call.expect}"
        lines.append(f"{call.number}. {call.title}: {call.outcome}, {verdict}")
        lines.append(f"    {call.url}")
        if call.reason:
            lines.append(f"    {call.reason}")
        for endpoint in call.result["endpoints"]:
            if endpoint["peer"]:
                lines.append(f"    mutual TLS with {endpoint['peer']}")
                lines.append(
                    f"    {endpoint['tls'] or 'TLS'}, certificate {endpoint['serial'] or '?'}"
                    f" until {endpoint['not_after'] or '?'}, {endpoint['path']}"
                )
    return "\n".join(lines)


def _classes(arrow: Arrow) -> str:
    state = arrow.outcome.replace(" ", "-")
    fate = "" if arrow.ok else " failed"
    return " ".join(["arrow", state + fate, *(f"n{call.number}" for call in arrow.calls)])


def _label_width(arrow: Arrow) -> float:
    characters = len(arrow.numbers) + 1 + len(arrow.what)
    return characters * _CHARACTER + _SIDES + (_LOCK if arrow.secured else 0)


def _fit(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\u2026"


def _rect(box: Box) -> str:
    return f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'


def _n(value: float) -> str:
    """A number as short as a tenth of a pixel allows."""
    return f"{value:.1f}".replace("-0.0", "0.0").removesuffix(".0")
