# SPDX-License-Identifier: Apache-2.0
"""Istio's standard metrics as Envoy's own statistics logger tells them. Pure.

Each label costs Envoy time at each request and memory in each filter chain. So what belongs
together is one label here, in the form in which istiod describes endpoints, and
`mesh_agent.status.standard` takes it apart at the scrape. Labels that would need an expression at
each request are told there from others, and labels that an operator does not want are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from mesh_agent.adapt import words
from mesh_agent.adapt.abilities import Workload
from mesh_agent.adapt.exchange import CALLER
from mesh_agent.adapt.overrides import Overrides
from mesh_agent.adapt.views import AccessLog, AccessLogFilter, ExpressionFilter, StatsLog

Reporter = Literal["source", "destination"]

# Names the logger, so that one is not added twice.
LOGGER: Final = "hybrid.mesh.metrics"

# A host that calls ever new names must not fill its memory with statistics, nor may its callers:
# they may invent names, and what they send costs most.
_MOST: Final[Mapping[Reporter, int]] = {"source": 20_000, "destination": 2_000}
_BYTES, _MILLISECONDS = 1, 3
# Of envoy.data.accesslog.v3.AccessLogType.
_CONNECTED, _ENDED = 1, 3
_NEVER_CONNECTED: Final = "!('local_address' in upstream)"

# Istio's name in a Telemetry override -> what it is here.
_TCP_COUNTERS: Final = {
    "istio_tcp_connections_closed_total": None,
    "istio_tcp_sent_bytes_total": "%BYTES_SENT%",
    "istio_tcp_received_bytes_total": "%BYTES_RECEIVED%",
}
_HISTOGRAMS: Final = {
    "istio_request_duration_milliseconds": (_MILLISECONDS, "%DURATION%"),
    "istio_request_bytes": (_BYTES, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
    "istio_response_bytes": (_BYTES, "%DOWNSTREAM_WIRE_BYTES_SENT%"),
}


def http_loggers(
    workload: Workload, reporter: Reporter, overrides: Overrides, *, caller: bool
) -> list[Any]:
    """Return the access logger of an HTTP connection manager; none if nothing is wanted.

    ``caller``: callers say who they are, see `mesh_agent.adapt.exchange`.
    """
    labels = {
        **_labels(workload, reporter),
        **({"source_peer": CALLER} if caller else {}),
        "response_code": "%RESPONSE_CODE%",
        "grpc_response_status": "%GRPC_STATUS_NUMBER%",
    }
    logs = StatsLog()
    _count(logs, "istio_requests_total", labels, overrides)
    for name, (unit, value) in _HISTOGRAMS.items():
        if overrides.keeps(name):
            histogram = logs.histograms.add(unit=unit, value_format=value)
            _name(histogram.stat, name, labels, overrides)
    return [_logger(logs, reporter)] if logs.counters or logs.histograms else []


def tcp_loggers(workload: Workload, reporter: Reporter, overrides: Overrides) -> list[Any]:
    """Return the access loggers of a TCP proxy.

    Connections count as opened when they reach their upstream, with its labels; those that never
    do count when they end. Bytes are known then, too: Envoy gives sums, not differences.
    """
    labels = _labels(workload, reporter)
    opened, closed = StatsLog(), StatsLog()
    _count(opened, "istio_tcp_connections_opened_total", labels, overrides)
    for name, value in _TCP_COUNTERS.items():
        _count(closed, name, labels, overrides, value)
    found = []
    if opened.counters:
        failed = AccessLogFilter()
        failed.and_filter.filters.add().log_type_filter.types.append(_ENDED)
        expression = failed.and_filter.filters.add().extension_filter
        expression.name = "envoy.access_loggers.extension_filters.cel"
        words.fill(
            expression.typed_config,
            words.CEL_FILTER,
            ExpressionFilter(expression=_NEVER_CONNECTED),
        )
        found += [
            _logger(opened, reporter, _of_type(_CONNECTED)),
            _logger(opened, reporter, failed),
        ]
    if closed.counters:
        found.append(_logger(closed, reporter, _of_type(_ENDED)))
    return found


def not_when_connected(log: Any) -> None:
    """Keep a logger from the line at a connection's begin, which `tcp_loggers` needs."""
    only = AccessLogFilter()
    only.log_type_filter.types.append(_CONNECTED)
    only.log_type_filter.exclude = True
    if log.HasField("filter"):
        both = AccessLogFilter()
        both.and_filter.filters.extend([log.filter, only])
        only = both
    log.filter.CopyFrom(only)


def _of_type(kind: int) -> Any:
    result = AccessLogFilter()
    result.log_type_filter.types.append(kind)
    return result


def _logger(logs: Any, reporter: Reporter, when: Any = None) -> Any:
    # Each side has its own bound: callers must not use up what counts this host's own calls.
    logs.stats_scope.sharing_name = f"{LOGGER}.{reporter}"
    logs.stats_scope.max_counters.value = _MOST[reporter]
    logs.stats_scope.max_histograms.value = _MOST[reporter]
    result = AccessLog(name=LOGGER, filter=when)
    words.fill(result.typed_config, words.STATS_LOG, logs)
    return result


def _count(
    logs: Any,
    name: str,
    labels: Mapping[str, str],
    overrides: Overrides,
    value: str | None = None,
) -> None:
    if not overrides.keeps(name):
        return
    counter = logs.counters.add()
    if value is None:
        counter.value_fixed.value = 1
    else:
        counter.value_format = value
    _name(counter.stat, name, labels, overrides)


def _name(stat: Any, name: str, labels: Mapping[str, str], overrides: Overrides) -> None:
    stat.name = name
    for label, text in overrides.change(name).labels(labels):
        stat.tags.add(name=label, value_format=text)


def _labels(workload: Workload, reporter: Reporter) -> dict[str, str]:
    return {
        "reporter": reporter,
        f"{reporter}_peer": _peer(workload),
        "destination_services": f"%METADATA(CLUSTER:{words.METADATA}:services)%",
        **(_SOURCE if reporter == "source" else _DESTINATION),
        "response_flags": "%RESPONSE_FLAGS%",
    }


def _peer(workload: Workload) -> str:
    """Return this host as istiod describes an endpoint, with its labels app and version behind."""
    parts = (
        workload.name,
        workload.namespace,
        workload.canonical_service,
        workload.canonical_revision,
        workload.cluster,
        workload.app,
        workload.version,
    )
    return ";".join(parts).replace("%", "%%")


_SOURCE: Final = {
    "source_principal": "%UPSTREAM_LOCAL_URI_SAN%",
    "destination_principal": "%UPSTREAM_PEER_URI_SAN%",
    "destination_peer": "%UPSTREAM_METADATA(istio:workload)%",
}
_DESTINATION: Final = {
    "source_principal": "%DOWNSTREAM_PEER_URI_SAN%",
    "destination_principal": "%DOWNSTREAM_LOCAL_URI_SAN%",
}
