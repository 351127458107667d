# SPDX-License-Identifier: Apache-2.0
"""What a Telemetry changes, from istiod's words to the labels at the scrape."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mesh_agent.adapt.expressions import refusal
from mesh_agent.adapt.labels import STANDARD
from mesh_agent.adapt.metrics import http_loggers, tcp_loggers
from mesh_agent.adapt.overrides import Overrides, overrides_of
from mesh_agent.adapt.views import PluginConfig, StatsLog
from mesh_agent.status.standard import standard
from tests.unit.agent.adapt.conftest import WORKLOAD

# What Envoy would put in the place of the formats.
VALUES = {
    "%RESPONSE_CODE%": "200",
    "%RESPONSE_FLAGS%": "-",
    "%GRPC_STATUS_NUMBER%": "0",
    "%UPSTREAM_LOCAL_URI_SAN%": "spiffe://mesh/ns/shop/sa/api",
    "%UPSTREAM_PEER_URI_SAN%": "spiffe://mesh/ns/db/sa/db",
    "%UPSTREAM_METADATA(istio:workload)%": "db;db;db;v1;c2",
    "%METADATA(CLUSTER:hybrid.mesh:services)%": "db.db.svc;db;db",
    "%CEL(request.method)%": "GET",
    "%CEL('v7')%": "v7",
    "%CEL(request.headers['x-absent'])%": "-",
}


def overrides(*metrics: dict[str, Any]) -> Overrides:
    config = PluginConfig()
    for each in metrics:
        config.metrics.add(**each)
    return overrides_of(PluginConfig.FromString(config.SerializeToString()))


def scraped(changed: Overrides, name: str = "istio_requests_total") -> dict[str, str] | None:
    """The labels of a metric after the scrape; None without the metric."""
    loggers = [
        *http_loggers(WORKLOAD, "source", changed, caller=False),
        *tcp_loggers(WORKLOAD, "source", changed),
    ]
    for logger in loggers:
        log = StatsLog.FromString(logger.typed_config.value)
        for each in (*log.counters, *log.histograms):
            if each.stat.name == name:
                raw = ",".join(
                    f'{tag.name}="{VALUES.get(tag.value_format, tag.value_format)}"'
                    for tag in each.stat.tags
                )
                text = standard(f"envoy_{name}{{{raw}}} 1\n".encode()).decode()
                return dict(re.findall(r'(\w+)="([^"]*)"', text))
    return None


@pytest.mark.parametrize("label", sorted(STANDARD))
def test_every_label_of_istios_can_be_taken_away_and_no_other_goes_with_it(label: str) -> None:
    before = scraped(Overrides())
    assert before is not None
    assert label in before
    expected = {name: value for name, value in before.items() if name != label}
    assert scraped(overrides({"tags_to_remove": [label]})) == expected


def test_all_labels_can_be_taken_away_from_one_metric() -> None:
    changed = overrides({"name": "requests_total", "tags_to_remove": sorted(STANDARD)})
    assert scraped(changed) == {}
    assert scraped(changed, "istio_request_bytes") == scraped(Overrides(), "istio_request_bytes")


def test_callers_that_invent_names_leave_room_for_what_the_host_calls() -> None:
    scopes = {}
    for reporter in ("source", "destination"):
        loggers = [
            *http_loggers(WORKLOAD, reporter, Overrides(), caller=True),
            *tcp_loggers(WORKLOAD, reporter, Overrides()),
        ]
        (scopes[reporter],) = {
            (
                scope.sharing_name,
                scope.max_counters.value,
                scope.max_histograms.value,
            )
            for logger in loggers
            for scope in [StatsLog.FromString(logger.typed_config.value).stats_scope]
        }
    assert scopes["source"] == ("hybrid.mesh.metrics.source", 20_000, 20_000)
    assert scopes["destination"] == ("hybrid.mesh.metrics.destination", 2_000, 2_000)


def test_what_nothing_is_told_from_costs_envoy_nothing() -> None:
    changed = overrides({"tags_to_remove": ["response_flags", "source_app"]})
    (logger,) = http_loggers(WORKLOAD, "source", changed, caller=False)
    (counter,) = StatsLog.FromString(logger.typed_config.value).counters
    names = [tag.name for tag in counter.stat.tags]
    assert "response_flags" not in names
    assert "source_peer" in names


def test_labels_can_be_given_expressions() -> None:
    dimensions = {
        "method": "request.method",
        "destination_version": "'v7'",
        "absent": "request.headers['x-absent']",
    }
    changed = overrides(
        {"tags_to_remove": ["destination_version"]},
        {"name": "requests_total", "dimensions": dimensions},
    )
    before, after = scraped(Overrides()), scraped(changed)
    assert before is not None
    assert after == {
        **before,
        "method": "GET",
        "destination_version": "v7",
        "absent": "unknown",
    }
    assert "destination_version" not in (scraped(changed, "istio_tcp_sent_bytes_total") or {})


def test_metrics_can_be_dropped_one_by_one_but_not_all_at_once() -> None:
    changed = overrides({"name": "request_bytes", "drop": True})
    assert scraped(changed, "istio_request_bytes") is None
    assert scraped(changed) is not None
    assert scraped(overrides({"drop": True})) is not None  # as with Istio


def test_what_cannot_be_done_is_said() -> None:
    config = PluginConfig()
    config.definitions.add(name="mine")
    config.metrics.add(name="requests_total", dimensions={"peer": "upstream_peer.app"})
    config.metrics.add(dimensions={"sum": "request.host + request.path"})
    found = overrides_of(config)
    assert found.ignored[0] == "metric mine: a metric of one's own"
    assert found.ignored[1].startswith("label peer of metric requests_total: upstream_peer is")
    assert found.ignored[2].startswith("label sum of metric any: 'request.host + request.path':")
    assert scraped(found) == scraped(Overrides())


GOOD = [
    "request.method",
    "request.headers['x-tenant']",
    "'a:b' in request.headers ? request.headers['a'] : \"none\"",
    "request.path.startsWith('/v1') || request.path.matches('^/v(2|3)/[0-9]+$')",
    "request.path.matches('^/v2/.*$') && !(response.code >= 500)",
    "size(request.path) > 3",
    "request.path.size() != -1",
    "(xds.cluster_name == 'x') ? 'a' : (true ? 'b' : 'c')",
    "filter_state['io.istio.peer_principal']",
    " request.host ",
    "999999999999999999 > 1.5 && 3u < 4u",
    "true ? (false ? 'a' : 'b') : 'c'",
    "false ? 'a' : true ? 'b' : 'c'",
    "!!true || --1 == 1",
    "request" + ".a" * 19,
    "request.path.matches('[^/]+/(.*|a*)?x-[a-z0-9]+$')",
    f"request.path.matches('{'a' * 88}')",
]
BAD = [
    "",
    "request.method ==",
    "request.method request",
    "request.path + 'x'",
    "string(1)",
    "has(request.headers.a)",
    "[1].exists(x, x == 1)",
    "request.path.substring(1)",
    "request.path.matches('(')",
    "request.path.matches('(?=a)')",
    "request.path.matches('a{1,2000}')",
    "request.path.matches(request.host)",
    "request.headers['a)%b']",
    "request.\nmethod",
    "istio_responseClass",
    "downstream_peer.app",
    "filter_state.upstream_peer.app",
    "'unclosed",
    "'\\x'",
    "request.in",
    "a" * 1001,
    "(" * 30 + "true" + ")" * 30,
    "request.path.contains()",
    "{'a': 1}",
    "1.5u > 1.0",
    "99999999999999999999 > 1",
    "99999999999999999999u > 1u",
    "true ? false ? 'a' : 'b' : 'c'",
    "!-size(request.path) == 1",
    "-!true",
    "request.true",
    "request.null",
    "request" + ".a" * 32,
    "true" + " == true" * 32,
    "request.path.matches('a++')",
    "request.path.matches('a*+')",
    "request.path.matches('[[:foo:]]')",
    f"request.path.matches('{'a' * 100}')",
    "request.path.matches('a.b.c.d.e.f.g.h.i.j.k')",
    f"request.path.matches('{'[^/]' * 10}')",
]


@pytest.mark.parametrize("expression", GOOD)
def test_an_expression_that_envoy_takes(expression: str) -> None:
    assert refusal(expression) == ""


@pytest.mark.parametrize("expression", BAD)
def test_an_expression_that_envoy_might_refuse(expression: str) -> None:
    assert refusal(expression)


@pytest.mark.needs_envoy
@pytest.mark.timeout(60)
def test_envoy_takes_them(envoy_binary: Path, tmp_path: Path) -> None:
    """All of them in one configuration, which Envoy would refuse for one."""
    tags = [{"name": f"t{i}", "value_format": f"%CEL({text})%"} for i, text in enumerate(GOOD)]
    kind = "type.googleapis.com/envoy.extensions"
    proxy = {
        "@type": f"{kind}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "x",
        "cluster": "c",
        "access_log": [
            {
                "name": "stats",
                "typed_config": {
                    "@type": f"{kind}.access_loggers.stats.v3.Config",
                    "stats_scope": {"prefix": "x"},
                    "counters": [{"stat": {"name": "n", "tags": tags}, "value_fixed": 1}],
                },
            }
        ],
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": "tcp", "typed_config": proxy}]}],
    }
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    done = subprocess.run(
        [envoy_binary, "--mode", "validate", "-c", str(file), "-l", "error"],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
