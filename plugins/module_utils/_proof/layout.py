# Copyright (c) hybrid.mesh contributors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: it may change in any release.

"""Where the nodes of the picture stand: networks side by side, gateways between them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .scene import Node, Scene
from .topology import CONTROL_PLANE, GATEWAY, OUTSIDER, WORKLOAD

NODE_WIDTH = 148.0
NODE_HEIGHT = 70.0
_COLUMN_GAP = 140.0
_ROW_GAP = 74.0
_PADDING = 32.0
_TITLE = 22.0
_MARGIN = 2.0
#: Between the edge of a network and a gateway beside it.
_LANE = 112.0
#: Between the ends of two arrows at one side of a node.
_END_GAP = 13.5
_ROWS = 6


@dataclass(frozen=True)
class Box:
    """A rectangle; x, y: its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, x: float, y: float, margin: float = 0) -> bool:
        return (
            self.x - margin < x < self.x + self.width + margin
            and self.y - margin < y < self.y + self.height + margin
        )

    def overlaps(self, other: Box, margin: float = 0) -> bool:
        return (
            self.x - margin < other.x + other.width
            and other.x - margin < self.x + self.width
            and self.y - margin < other.y + other.height
            and other.y - margin < self.y + self.height
        )


@dataclass(frozen=True)
class Layout:
    """networks and nodes: boxes by name and by key."""

    width: float
    height: float
    networks: t.Mapping[str, Box]
    nodes: t.Mapping[str, Box]


def lay_out(scene: Scene) -> Layout:
    """Columns of nodes from left to right: a network, gateways to the next one, and so on."""
    blocks: list[tuple[str, list[list[Node]]]] = []
    for index, network in enumerate(scene.networks):
        inside = [node for node in scene.nodes if _home(node, scene) == (network, False)]
        blocks.append((network, _columns(inside, scene)))
        between = [node for node in scene.nodes if _home(node, scene) == (network, True)]
        if between or index + 1 < len(scene.networks):
            blocks.append(("", _chunks(between)))
    rest = [node for node in scene.nodes if not node.networks]
    if rest:
        blocks.append(("", _chunks(rest)))
    rows = max((len(column) for _name, columns in blocks for column in columns), default=1)
    inner = rows * NODE_HEIGHT + (rows - 1) * _ROW_GAP
    height = inner + 2 * _PADDING + _TITLE
    networks, nodes, x = {}, {}, _MARGIN
    for name, columns in blocks:
        side = _PADDING if name else _LANE
        width = len(columns) * (NODE_WIDTH + _COLUMN_GAP) - _COLUMN_GAP + 2 * side
        width = max(width, _LANE) if not name else max(width, NODE_WIDTH + 2 * _PADDING)
        if name:
            networks[name] = Box(x, _MARGIN, width, height)
        for index, column in enumerate(columns):
            left = x + side + index * (NODE_WIDTH + _COLUMN_GAP)
            nodes.update(_stand(column, left, _MARGIN + _TITLE + _PADDING, inner, scene))
        x += width
    return Layout(x + _MARGIN, height + 2 * _MARGIN, networks, nodes)


def _home(node: Node, scene: Scene) -> tuple[str, bool]:
    """The network of a node, and whether it stands beside it rather than in it."""
    if not node.networks:
        return "", False
    first = min(node.networks, key=scene.networks.index)
    last_one = first == scene.networks[-1] and len(scene.networks) > 1
    if node.kind == GATEWAY and last_one:
        # The only gateway of the last network stands on the side of the others.
        return scene.networks[-2], True
    return first, node.kind == GATEWAY


def _columns(nodes: t.Sequence[Node], scene: Scene) -> list[list[Node]]:
    """Callers left of those that they call."""
    depths = _depths(nodes, scene)
    columns: list[list[Node]] = []
    for depth in sorted(set(depths.values())):
        layer = [node for node in nodes if depths[node.key] == depth]
        columns += _chunks(sorted(layer, key=lambda node: (_rank(node), node.title)))
    return columns


def _rank(node: Node) -> int:
    """The control plane on top, who is not in the mesh at the bottom."""
    return {CONTROL_PLANE: 0, OUTSIDER: 2}.get(node.kind, 1)


def _depths(nodes: t.Sequence[Node], scene: Scene) -> dict[str, int]:
    """The longest chain of calling workloads within the network in front of each node."""
    inside = {node.key for node in nodes if node.kind == WORKLOAD}
    callers: dict[str, set[str]] = {node.key: set() for node in nodes}
    for arrow in scene.arrows:
        if {arrow.source, arrow.target} <= inside and arrow.source != arrow.target:
            callers[arrow.target].add(arrow.source)

    def depth(key: str, path: frozenset[str]) -> int:
        # Who calls in a circle is not put behind itself.
        before = [depth(caller, path | {key}) for caller in callers[key] - path - {key}]
        return max(before, default=-1) + 1

    found = {key: depth(key, frozenset()) for key in callers}
    levels = sorted(set(found.values()))
    return {key: levels.index(value) for key, value in found.items()}


def _chunks(nodes: t.Sequence[Node]) -> list[list[Node]]:
    return [list(nodes[start : start + _ROWS]) for start in range(0, len(nodes), _ROWS)]


def _stand(
    column: t.Sequence[Node], x: float, top: float, inner: float, scene: Scene
) -> dict[str, Box]:
    """A column's nodes, evenly over its height."""
    step = inner / len(column)
    boxes = {}
    for index, node in enumerate(column):
        height = _height(node, scene)
        boxes[node.key] = Box(x, top + step * (index + 0.5) - height / 2, NODE_WIDTH, height)
    return boxes


def _height(node: Node, scene: Scene) -> float:
    """Room for the arrows that go to one side of a node: those through a gateway do."""
    ends = sum(
        node.key == arrow.gateway
        or bool(arrow.gateway and node.key in (arrow.source, arrow.target))
        for arrow in scene.arrows
    )
    return min(max(NODE_HEIGHT, (ends + 1) * _END_GAP), NODE_HEIGHT + _ROW_GAP / 2)
