# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture: what is in it, and that it can be read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.hybrid.mesh.plugins.module_utils._proof import picture
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.curves import Curve
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.labels import place_labels
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.layout import Layout, lay_out
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.picture import to_svg
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.results import Report
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.routes import find_routes
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.scene import (
    Arrow,
    Scene,
    make_scene,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._proof.topology import Host

Make = Callable[..., Report]


@pytest.fixture
def scene(make_report: Make) -> Scene:
    return make_scene(make_report())


@pytest.fixture
def layout(scene: Scene) -> Layout:
    return lay_out(scene)


def _tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.encode())  # noqa: S314 - it is our own


def _arrow(scene: Scene, source: str, target: str, outcome: str) -> Arrow:
    (found,) = [
        arrow
        for arrow in scene.arrows
        if (arrow.source, arrow.target, arrow.outcome) == (source, target, outcome)
    ]
    return found


def _large(make_report: Make, count: int = 50) -> Report:
    hosts = [
        Host(f"orders-{i}", "workload", ("n1",), (f"10.0.0.{i}",), (), "shop/orders")
        for i in range(count)
    ]
    hosts += [Host("pg", "workload", ("n2",), ("10.1.0.1",), (), "shop/pg")]
    hosts += [Host("gw", "gateway", ("n1", "n2"), ("10.0.1.1",), ())]
    calls = [
        {"from": host.name, "to": ["pg"], "name": "pg", "url": "tcp://pg:1", "expect": "allowed"}
        for host in hosts[:count]
    ]
    return make_report(hosts=hosts, calls=calls, made={})


def test_calls_with_the_same_fate_are_one_arrow(scene: Scene) -> None:
    both = _arrow(scene, "outsider", "web", "refused")
    assert [call.number for call in both.calls] == [10, 11]
    assert (both.numbers, both.what, both.secured) == ("10, 11", "http", False)
    through = _arrow(scene, "api-1", "db", "allowed")
    assert (through.gateway, through.what, through.secured) == ("gateway", "postgres", True)
    assert _arrow(scene, "web", "api-1", "allowed").what == "http 29\u00d7"
    assert _arrow(scene, "web", "api-2", "allowed").what == "http 11\u00d7"


def test_a_failure_is_an_arrow_of_its_own(make_report: Make, verify_run: dict[str, Any]) -> None:
    verify_run["made"]["outsider"]["results"][0].update(ok=False, outcome="allowed")
    arrows = [a for a in make_scene(make_report()).arrows if a.source == "outsider"]
    assert [(a.outcome, a.ok) for a in arrows if a.target == "web"] == [
        ("allowed", False),
        ("refused", True),
    ]


def test_a_destination_outside_of_the_inventory(
    make_report: Make, verify_run: dict[str, Any]
) -> None:
    verify_run["calls"][0].update(url="http://example.org/x")
    verify_run["made"]["web"]["results"][0].update(endpoints=[])
    found = make_scene(make_report())
    assert [node.key for node in found.nodes if node.kind == "elsewhere"] == ["example.org"]
    assert "example.org" in lay_out(found).nodes


def test_hosts_stand_in_their_networks_and_gateways_between(layout: Layout, scene: Scene) -> None:
    one, two = layout.networks["network-1"], layout.networks["network-2"]
    for node in scene.nodes:
        center = layout.nodes[node.key].center
        assert one.holds(*center) == (node.kind != "gateway" and node.key != "db"), node.key
        assert two.holds(*center) == (node.key == "db"), node.key
    gateway = layout.nodes["gateway"]
    assert one.x + one.width < gateway.x
    assert gateway.x + gateway.width < two.x


def test_callers_stand_left_of_whom_they_call(layout: Layout) -> None:
    assert layout.nodes["web"].x < layout.nodes["api-1"].x == layout.nodes["api-2"].x


def test_nothing_stands_on_anything(layout: Layout, scene: Scene) -> None:
    for one, other in itertools.combinations(layout.nodes.values(), 2):
        assert not one.overlaps(other, 4)
    routes = find_routes(scene.arrows, layout)
    labels = place_labels(routes, [100.0] * len(routes), layout)
    for one, other in itertools.combinations(labels, 2):
        assert not one.overlaps(other)
    for label, node in itertools.product(labels, layout.nodes.values()):
        assert not label.overlaps(node)


def test_arrows_go_around_hosts(layout: Layout, scene: Scene) -> None:
    for arrow, route in zip(scene.arrows, find_routes(scene.arrows, layout), strict=True):
        own = {arrow.source, arrow.target, arrow.gateway}
        others = [box for key, box in layout.nodes.items() if key not in own]
        for curve in route:
            for x, y in curve.points(60):
                assert not any(box.holds(x, y) for box in others), arrow
                assert 0 <= x <= layout.width, arrow
                assert 0 <= y <= layout.height, arrow


def test_arrows_through_a_gateway_touch_it(layout: Layout, scene: Scene) -> None:
    arrow = _arrow(scene, "api-1", "db", "allowed")
    (route,) = find_routes([arrow], layout)
    gateway = layout.nodes["gateway"]
    into, out = route
    assert into.end[0] == gateway.x
    assert out.start[0] == gateway.x + gateway.width


def test_a_circle_of_callers_ends(make_report: Make, verify_run: dict[str, Any]) -> None:
    call = verify_run["calls"][0]
    ring = [("web", "api-1"), ("api-1", "api-2"), ("api-2", "web"), ("web", "web")]
    calls = [{**call, "from": source, "to": [target]} for source, target in ring]
    assert set(lay_out(make_scene(make_report(calls=calls, made={}))).nodes) >= {"web", "api-1"}


def test_many_hosts_that_are_alike_are_one_node(make_report: Make) -> None:
    found = make_scene(_large(make_report))
    assert [(node.title, node.lines) for node in found.nodes] == [
        ("orders", ("50 hosts",)),
        ("pg", ("shop/pg", "10.1.0.1")),
        ("gw", ("gateway", "10.0.1.1")),
    ]
    (arrow,) = found.arrows
    assert arrow.numbers == "1\u201350"


def test_long_lists_of_numbers_are_cut(make_report: Make, verify_run: dict[str, Any]) -> None:
    calls = [dict(verify_run["calls"][9], to=["web"]) for _number in range(11)]
    made = {"outsider": {"results": [dict(verify_run["made"]["outsider"]["results"][0])] * 11}}
    for index in range(1, 11, 2):
        calls[index]["to"] = ["db"]
    arrow = make_scene(make_report(calls=calls, made=made)).arrows[0]
    assert arrow.numbers == "1, 3, 5 +3"


def test_the_drawing(make_report: Make) -> None:
    root = _tree(to_svg(make_report()))
    texts = [element.text for element in root.iter("text")]
    for name in ("network-1", "network-2", "control", "gateway", "db", "10.231.2.31"):
        assert name in texts
    labels = list(root.iter("a"))
    assert {label.get("href") for label in labels} >= {"#call-1", "#call-2", "#call-15"}
    (db,) = [label for label in labels if label.get("href") == "#call-2"]
    assert db.get("class") == "arrow allowed n2 label"
    story = db.findtext("title") or ""
    assert "mutual TLS with spiffe://cluster.local/ns/shop/sa/db" in story
    assert "certificate 7a1fc03e9d22b84415c6f0a97d5e21b0c4d2aa10" in story
    assert [path.get("class") for path in db.iter("path")] == ["lock"]
    (refused,) = [label for label in labels if label.get("href") == "#call-12"]
    assert list(refused.iter("path")) == []


def test_nothing_is_cut_off(
    make_report: Make, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Curve((20.0, 20.0), (20.0, -90.0), (40.0, 900.0), (layout.width + 30, 40.0))
    monkeypatch.setattr(picture, "find_routes", lambda arrows, _: [[around] for _arrow in arrows])
    drawn = _tree(to_svg(make_report()))
    left, top, width, height = map(float, drawn.attrib["viewBox"].split())
    for x, y in around.points():
        assert left < x < left + width
        assert top < y < top + height


@pytest.mark.parametrize("names", [[], ["outsider"]])
def test_a_picture_of_next_to_nothing(
    make_report: Make, verify_run: dict[str, Any], names: list[str]
) -> None:
    verify_run["hosts"] = {name: verify_run["hosts"][name] for name in names}
    _tree(to_svg(make_report()))
