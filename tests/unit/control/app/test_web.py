from __future__ import annotations

import json
from typing import Any

import pytest

from mesh_control.web.metrics import Metrics
from mesh_control.web.page import Page
from mesh_control.web.status import as_text
from mesh_core.http import Request


def test_metrics_have_the_text_format_and_the_names_as_given() -> None:
    metrics = Metrics()
    pushes = metrics.counter("pilot_xds_pushes", "Answers.", ["type"])
    pushes.inc("cds")
    pushes.inc("cds", by=2)
    pushes.inc('a"\\\n')
    metrics.counter("plain", "Plain.")
    metrics.gauge("now", "Now.", lambda: 1.5)
    metrics.gauge("by", "By.", lambda: {("x", "y"): 2}, ["one", "two"])
    seconds = metrics.histogram("took", "Took.", [1, 0.5])
    for value in (0.1, 0.5, 0.7, 9.0):
        seconds.observe(value)
    assert metrics.render() == (
        "# HELP pilot_xds_pushes Answers.\n# TYPE pilot_xds_pushes counter\n"
        'pilot_xds_pushes{type="a\\"\\\\\\n"} 1\npilot_xds_pushes{type="cds"} 3\n'
        "# HELP plain Plain.\n# TYPE plain counter\nplain 0\n"
        "# HELP now Now.\n# TYPE now gauge\nnow 1.5\n"
        '# HELP by By.\n# TYPE by gauge\nby{one="x",two="y"} 2\n'
        "# HELP took Took.\n# TYPE took histogram\n"
        'took_bucket{le="0.5"} 2\ntook_bucket{le="1"} 3\ntook_bucket{le="+Inf"} 4\n'
        "took_sum 10.3\ntook_count 4\n"
    )
    assert pushes.value("cds") == 3
    assert pushes.value() == 4


def test_metrics_are_not_made_twice_nor_counted_without_labels() -> None:
    metrics = Metrics()
    counter = metrics.counter("a", "A.", ["type"])
    with pytest.raises(ValueError, match="is there already"):
        metrics.counter("a", "A.")
    with pytest.raises(ValueError, match="expected values for"):
        counter.inc()


async def test_the_page() -> None:
    ailments: list[str] = []
    page = Page(status=lambda: {"version": "1"}, metrics=Metrics(), ailments=lambda: ailments)

    async def ask(target: str, method: str = "GET") -> tuple[int, bytes]:
        answer = await page.answer(Request(method, target, {}))
        return answer.status, answer.body

    assert json.loads((await ask("/status?x"))[1]) == {"version": "1"}
    assert await ask("/healthz") == (200, b"ok\n")
    ailments.append("push has ended")
    assert await ask("/healthz") == (503, b"push has ended\n")
    assert (await ask("/metrics"))[0] == 200
    assert (await ask("/"))[0] == 404
    assert (await ask("/status", "POST"))[0] == 405


def proxy(**types: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "api-1",
        "namespace": "shop",
        "group": "api",
        "network": "",
        "address": "10.0.0.21",
        "since": "2026-01-02T03:04:05Z",
        "problem": None,
        "types": types,
    }


def test_the_status_as_text_says_what_is_wrong() -> None:
    status = {
        "version": "1.0",
        "trust_domain": "cluster.local",
        "since": "2026-01-02T03:04:05Z",
        "objects": {"Service": 2},
        "certificates": {"issued": 3, "refused": 1, "root_not_after": "2036"},
        "proxies": [
            proxy(Cluster={"sent": "2", "acked": "2", "nacked": []}),
            proxy(Cluster={"sent": "2", "acked": "1", "nacked": []}),
            proxy(
                Listener={
                    "sent": "2",
                    "acked": "2",
                    "nacked": [{"resource": "0.0.0.0_80", "message": "no such filter"}],
                }
            ),
            proxy() | {"problem": "ValueError: x"},
        ],
        "workloads": [
            {
                "namespace": "shop",
                "name": "api-10.0.0.21",
                "address": "10.0.0.21",
                "network": "network-1",
                "healthy": False,
            }
        ],
        "problems": [{"severity": "error", "text": "shop.yaml[0]: no"}],
    }
    text = as_text(status)
    assert "objects: 2 Service" in text
    states = [line.split()[-1] for line in text.splitlines() if line.startswith("shop/api-1 ")]
    assert states == ["current", "pending", "refused", "configuration"]
    assert "shop/api-10.0.0.21  10.0.0.21  network-1  unhealthy" in text
    assert text.splitlines()[-3:] == [
        "error: shop.yaml[0]: no",
        "error: shop/api-1 refused Listener 0.0.0.0_80: no such filter",
        "error: shop/api-1: ValueError: x",
    ]
