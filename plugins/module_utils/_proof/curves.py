# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Cubic Bezier curves, as far as a picture with arrows needs them."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

Point = tuple[float, float]

_STEPS = 14
#: Two points are near each other below this distance, along both axes.
_CLOSE = 9.0


@dataclass(frozen=True)
class Curve:
    """A cubic Bezier curve."""

    start: Point
    first: Point
    second: Point
    end: Point

    def at(self, where: float) -> Point:
        back = 1 - where
        weights = (back**3, 3 * back**2 * where, 3 * back * where**2, where**3)
        points = (self.start, self.first, self.second, self.end)
        return (
            sum(weight * point[0] for weight, point in zip(weights, points, strict=True)),
            sum(weight * point[1] for weight, point in zip(weights, points, strict=True)),
        )

    def points(self, steps: int = _STEPS) -> list[Point]:
        return [self.at(step / steps) for step in range(steps + 1)]


def near(one: Point, other: Point) -> bool:
    """Too close to tell two lines from each other."""
    return abs(one[0] - other[0]) < _CLOSE and abs(one[1] - other[1]) < _CLOSE


def apart(one: t.Sequence[Point], other: t.Sequence[Point]) -> bool:
    """No point of the one is near a point of the other, as the rectangles around them tell."""
    return any(
        max(point[axis] for point in low) + _CLOSE < min(point[axis] for point in high)
        for low, high in ((one, other), (other, one))
        for axis in (0, 1)
    )


def crossings(one: t.Sequence[Point], other: t.Sequence[Point]) -> int:
    """How often two polylines cross."""
    return sum(
        _cross(a, b, c, d)
        for a, b in itertools.pairwise(one)
        for c, d in itertools.pairwise(other)
        if (a[0] < c[0] or a[0] < d[0] or b[0] < c[0] or b[0] < d[0])
        and (a[0] > c[0] or a[0] > d[0] or b[0] > c[0] or b[0] > d[0])
    )


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(p: Point, q: Point, r: Point) -> float:
    return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])
