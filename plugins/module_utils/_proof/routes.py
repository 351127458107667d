# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""The way of each arrow of the picture, around nodes and clear of the other arrows.

An arrow is one curve, or two with a gateway between them. Each curve leaves and enters at the
side of a node that makes it short, free of nodes and crossed by few others; the search goes
over the curves a few times, and is deterministic.
"""

from __future__ import annotations

import itertools
import math
import typing as t
from dataclasses import dataclass, replace

from .curves import Curve, Point, apart, crossings, near
from .layout import Box, Layout
from .scene import Arrow

_NORMALS: t.Mapping[str, Point] = {
    "left": (-1, 0),
    "right": (1, 0),
    "top": (0, -1),
    "bottom": (0, 1),
}
_BENDS = (0.42, 0.2)
_SWEEPS = 3
#: Above this number of curves the picture is a map of who talks with whom, and no search helps.
_SEARCH_LIMIT = 60

_COST_OF_NODE = 700.0
_COST_OF_EDGE = 260.0
_COST_OF_CROSSING = 170.0
_COST_OF_CLOSENESS = 26.0
_COST_OF_TURN = 95.0
_CLEARANCE = 9.0


@dataclass(frozen=True)
class Leg:
    """One curve; leave and enter: a side of a node and the place along it, from 0 to 1.

    bend: how far it goes straight on at both ends, relative to their distance.
    part: 0 or 1 of an arrow through a gateway, which stands at its end or at its begin.
    """

    arrow: int
    source: str
    target: str
    part: int | None = None
    leave: tuple[str, float] = ("right", 0.5)
    enter: tuple[str, float] = ("left", 0.5)
    bend: float = 0.42


def find_routes(arrows: t.Sequence[Arrow], layout: Layout) -> list[list[Curve]]:
    """The curves of each arrow, in its direction."""
    legs = [leg for index, arrow in enumerate(arrows) for leg in _legs(index, arrow)]
    legs = _spread_ends([_facing(leg, layout) for leg in legs], layout)
    if len(legs) <= _SEARCH_LIMIT:
        legs = _search(legs, layout)
    routes: list[list[Curve]] = [[] for _arrow in arrows]
    for leg in legs:
        routes[leg.arrow].append(_curve(leg, layout))
    return routes


def _legs(index: int, arrow: Arrow) -> list[Leg]:
    if not arrow.gateway:
        return [Leg(index, arrow.source, arrow.target)]
    return [
        Leg(index, arrow.source, arrow.gateway, part=0),
        Leg(index, arrow.gateway, arrow.target, part=1),
    ]


def _facing(leg: Leg, layout: Layout) -> Leg:
    """With the sides that look at each other."""
    one, other = layout.nodes[leg.source].center, layout.nodes[leg.target].center
    across, down = other[0] - one[0], other[1] - one[1]
    if abs(across) >= abs(down) * 0.6:
        sides = ("right", "left") if across >= 0 else ("left", "right")
    else:
        sides = ("bottom", "top") if down >= 0 else ("top", "bottom")
    return replace(leg, leave=(sides[0], 0.5), enter=(sides[1], 0.5))


def _sides(leg: Leg, layout: Layout, through: bool) -> t.Sequence[str]:
    """Sides worth a try. What goes through a gateway goes straight through."""
    across = layout.nodes[leg.target].center[0] - layout.nodes[leg.source].center[0]
    if not through or not across:
        return tuple(_NORMALS)
    return ("right",) if (across > 0) == (leg.part == 1) else ("left",)


def _search(legs: list[Leg], layout: Layout) -> list[Leg]:
    for _sweep in range(_SWEEPS):
        before = list(legs)
        for index, leg in enumerate(legs):
            others = [(o, _curve(o, layout).points()) for o in legs if o is not leg]
            candidates = [
                _placed(replace(leg, leave=(leave, 0), enter=(enter, 0), bend=bend), legs, layout)
                for leave in _sides(leg, layout, leg.part == 1)
                for enter in _sides(leg, layout, leg.part == 0)
                for bend in _BENDS
            ]
            legs[index] = _best([leg, *candidates], others, layout)
        legs = _spread_ends(legs, layout)
        if legs == before:
            break
    return legs


def _best(
    options: t.Sequence[Leg], others: t.Sequence[tuple[Leg, list[Point]]], layout: Layout
) -> Leg:
    """The cheapest option, the first of those that cost the same."""
    paths = [_curve(option, layout).points() for option in options]
    costs = [_cost(option, path, layout) for option, path in zip(options, paths, strict=True)]
    best, least = 0, math.inf
    for index in sorted(range(len(options)), key=costs.__getitem__):
        # What an option costs by itself is known; what comes on top is only more.
        if costs[index] >= least:
            break
        total = costs[index] + _trouble(options[index], paths[index], others)
        if total < least:
            best, least = index, total
    return options[best]


def _cost(leg: Leg, points: t.Sequence[Point], layout: Layout) -> float:
    """Of a curve by itself: its length, where it turns, the nodes and edges that it is on."""
    cost = sum(math.dist(one, other) for one, other in itertools.pairwise(points))
    cost += _COST_OF_TURN * sum(
        _away(side, layout.nodes[one], layout.nodes[other]) ** 2
        for side, one, other in (
            (leg.leave[0], leg.source, leg.target),
            (leg.enter[0], leg.target, leg.source),
        )
    )
    for key, box in layout.nodes.items():
        margin = -1.0 if key in (leg.source, leg.target) else _CLEARANCE
        cost += _COST_OF_NODE * sum(box.holds(*point, margin) for point in points[1:-1])
    field = Box(0, 0, layout.width, layout.height)
    return cost + _COST_OF_EDGE * sum(not field.holds(*point, -4) for point in points)


def _trouble(
    leg: Leg, points: t.Sequence[Point], others: t.Sequence[tuple[Leg, list[Point]]]
) -> float:
    """Of a curve with the others: crossings, and points where it is on top of another arrow."""
    cost = 0.0
    for other, path in others:
        if apart(points, path):
            continue
        cost += _COST_OF_CROSSING * crossings(points, path)
        if other.arrow != leg.arrow:
            close = sum(any(near(one, point) for point in path[2:-2]) for one in points[2:-2])
            cost += _COST_OF_CLOSENESS * close
    return cost


def _away(side: str, box: Box, other: Box) -> float:
    """0 for a side that looks at the other node, 1 for one across, 2 for one that looks away."""
    across = other.center[0] - box.center[0]
    down = other.center[1] - box.center[1]
    length = math.hypot(across, down) or 1.0
    normal = _NORMALS[side]
    return 1 - (normal[0] * across + normal[1] * down) / length


def _curve(leg: Leg, layout: Layout) -> Curve:
    start, out = _end(layout.nodes[leg.source], leg.leave)
    end, back = _end(layout.nodes[leg.target], leg.enter)
    reach = min(max(math.dist(start, end) * leg.bend, 24.0), 150.0)
    return Curve(
        start,
        (start[0] + out[0] * reach, start[1] + out[1] * reach),
        (end[0] + back[0] * reach, end[1] + back[1] * reach),
        end,
    )


def _end(box: Box, place: tuple[str, float]) -> tuple[Point, Point]:
    side, along = place
    normal = _NORMALS[side]
    if normal[0]:
        x = box.x + (box.width if normal[0] > 0 else 0)
        return (x, box.y + box.height * along), normal
    y = box.y + (box.height if normal[1] > 0 else 0)
    return (box.x + box.width * along, y), normal


def _spread_ends(legs: t.Sequence[Leg], layout: Layout) -> list[Leg]:
    return [_placed(leg, legs, layout) for leg in legs]


def _placed(leg: Leg, legs: t.Sequence[Leg], layout: Layout) -> Leg:
    """With its ends in their places among all ends at the same sides, in the order of where
    they go.
    """
    return replace(
        leg,
        leave=(leg.leave[0], _place(leg, True, legs, layout)),
        enter=(leg.enter[0], _place(leg, False, legs, layout)),
    )


def _place(leg: Leg, leaving: bool, legs: t.Sequence[Leg], layout: Layout) -> float:
    key = leg.source if leaving else leg.target
    side = leg.leave[0] if leaving else leg.enter[0]
    ends = {_order(leg, leaving, side, layout)}
    for other in legs:
        if (other.arrow, other.part) == (leg.arrow, leg.part):
            continue
        if other.source == key and other.leave[0] == side:
            ends.add(_order(other, True, side, layout))
        if other.target == key and other.enter[0] == side:
            ends.add(_order(other, False, side, layout))
    rank = sorted(ends).index(_order(leg, leaving, side, layout))
    return (rank + 1) / (len(ends) + 1)


def _order(leg: Leg, leaving: bool, side: str, layout: Layout) -> tuple[float, int, bool]:
    """Where along the side an end wants to be."""
    own = layout.nodes[leg.source if leaving else leg.target].center
    far = layout.nodes[leg.target if leaving else leg.source].center
    axis = 1 if _NORMALS[side][0] else 0
    # The slope rather than the place: of two nodes in a row the farther one is nearer the middle.
    distance = abs(far[1 - axis] - own[1 - axis]) + 40
    return (round((far[axis] - own[axis]) / distance, 3), leg.arrow, leaving)
