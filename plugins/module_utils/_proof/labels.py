# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Where the labels of the picture's arrows stand: on their arrow, and on nothing else."""

from __future__ import annotations

import math
import typing as t

from .curves import Curve, Point
from .layout import Box, Layout

HEIGHT = 20.0
_PLACES = tuple(step / 40 for step in range(4, 37))
_COST_OF_NODE = 5000.0
_COST_OF_LABEL = 700.0
_COST_OF_LINE = 110.0
_SWEEPS = 3


def place_labels(
    routes: t.Sequence[t.Sequence[Curve]], widths: t.Sequence[float], layout: Layout
) -> list[Box]:
    """A box for each route."""
    lines = [[point for curve in route for point in curve.points(24)] for route in routes]
    places: list[Box | None] = [None] * len(routes)
    for _sweep in range(_SWEEPS):
        for index, route in enumerate(routes):
            taken = [box for other, box in enumerate(places) if box and other != index]
            strangers = [
                point for other, line in enumerate(lines) if other != index for point in line
            ]
            options = list(_options(route, widths[index]))
            costs = [away + _cost(box, taken, strangers, layout) for box, away in options]
            places[index] = options[costs.index(min(costs))][0]
    return [box for box in places if box]


def _options(route: t.Sequence[Curve], width: float) -> t.Iterator[tuple[Box, float]]:
    """Boxes along a route, each with the cost of its distance from the route's best place.

    The part before a gateway tells more callers apart than the one behind it.
    """
    for number, curve in enumerate(route):
        length = math.dist(curve.start, curve.end)
        for place in _PLACES:
            x, y = curve.at(place)
            away = abs(place - 0.5) * length * 0.5 + number * 40
            yield Box(x - width / 2, y - HEIGHT / 2, width, HEIGHT), away


def _cost(box: Box, taken: t.Sequence[Box], strangers: t.Sequence[Point], layout: Layout) -> float:
    cost = _COST_OF_NODE * sum(box.overlaps(node, 5) for node in layout.nodes.values())
    cost += _COST_OF_LABEL * sum(box.overlaps(other, 4) for other in taken)
    cost += _COST_OF_LINE * sum(box.holds(*point, 3) for point in strangers)
    if box.x < 2 or box.x + box.width > layout.width - 2:
        cost += _COST_OF_NODE
    return cost
