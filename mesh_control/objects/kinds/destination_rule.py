# SPDX-License-Identifier: Apache-2.0
"""DestinationRule: its fields, and the rules of subsets and policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import (
    CLIENT_TLS,
    EXPORT_TO,
    FAILOVER,
    KEEPALIVE,
    LABELS,
    LOCALITY_LB,
    MATCH_LABELS,
    PORT_SELECTOR,
    STRINGS,
)
from mesh_control.objects.kinds.kind import NETWORKING, ObjectKind, advice, invalid, unique
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import (
    BOOL,
    COUNT,
    DNS_LABEL,
    DURATION,
    DURATION_OR_ZERO,
    FQDN,
    HOST,
    INT32,
    NON_EMPTY,
    PERCENT,
    PERCENT_INT,
    PORT,
    STRING,
)
from mesh_control.objects.types import Choice, ListOf, Message, Number, Type

_SIZE = Number(0)
_CONSISTENT_HASH = Message(
    {
        "httpHeaderName": NON_EMPTY,
        "httpCookie": Message(
            {
                "name": NON_EMPTY,
                "path": STRING,
                "ttl": DURATION_OR_ZERO,
                "attributes": ListOf(
                    Message({"name": NON_EMPTY, "value": STRING}, required=("name",))
                ),
            },
            required=("name",),
        ),
        "useSourceIp": BOOL,
        "httpQueryParameterName": NON_EMPTY,
        "ringHash": Message({"minimumRingSize": _SIZE}),
        "maglev": Message({"tableSize": _SIZE}),
        "minimumRingSize": _SIZE,
    },
    one_of=(
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    ),
)
_LOAD_BALANCER = Message(
    {
        "simple": Choice(
            (
                "UNSPECIFIED",
                "LEAST_CONN",
                "RANDOM",
                "PASSTHROUGH",
                "ROUND_ROBIN",
                "LEAST_REQUEST",
            )
        ),
        "consistentHash": _CONSISTENT_HASH,
        "localityLbSetting": LOCALITY_LB,
        "zoneAwareLbSetting": Message(
            {
                "enabled": BOOL,
                "failover": FAILOVER,
                "failoverPriority": STRINGS,
                "minClusterSize": Number(1),
            }
        ),
        "warmup": Message(
            {
                "duration": DURATION,
                "minimumPercent": PERCENT,
                "aggression": Number(0, integer=False),
            },
            required=("duration",),
        ),
        "warmupDurationSecs": DURATION,
    },
    one_of=(("simple", "consistentHash"),),
)
_CONNECTION_POOL = Message(
    {
        "tcp": Message(
            {
                "maxConnections": INT32,
                "connectTimeout": DURATION,
                "tcpKeepalive": KEEPALIVE,
                "maxConnectionDuration": DURATION,
                "idleTimeout": DURATION_OR_ZERO,
            }
        ),
        "http": Message(
            {
                "http1MaxPendingRequests": INT32,
                "http2MaxRequests": INT32,
                "maxRequestsPerConnection": INT32,
                "maxRetries": INT32,
                "idleTimeout": DURATION,
                "h2UpgradePolicy": Choice(("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")),
                "useClientProtocol": BOOL,
                "maxConcurrentStreams": INT32,
                "http2KeepAlive": Message({"interval": DURATION, "timeout": DURATION}),
            }
        ),
    }
)
_OUTLIER_DETECTION = Message(
    {
        "consecutiveErrors": INT32,
        "splitExternalLocalOriginErrors": BOOL,
        "consecutiveLocalOriginFailures": COUNT,
        "consecutiveGatewayErrors": COUNT,
        "consecutive5xxErrors": COUNT,
        "interval": DURATION,
        "baseEjectionTime": DURATION,
        "maxEjectionPercent": PERCENT_INT,
        "minHealthPercent": PERCENT_INT,
        "outlierDetectionHttpErrorCodes": ListOf(Number(100, 599)),
    }
)
_POLICY: dict[str, Type] = {
    "loadBalancer": _LOAD_BALANCER,
    "connectionPool": _CONNECTION_POOL,
    "outlierDetection": _OUTLIER_DETECTION,
    "tls": CLIENT_TLS,
}
_TRAFFIC_POLICY = Message(
    {
        **_POLICY,
        "portLevelSettings": ListOf(
            Message({"port": PORT_SELECTOR, **_POLICY}, required=("port",)), at_most=4096
        ),
        "tunnel": Message(
            {"protocol": Choice(("CONNECT", "POST")), "targetHost": FQDN, "targetPort": PORT},
            required=("targetHost", "targetPort"),
        ),
        "proxyProtocol": Message({"version": Choice(("V1", "V2"))}),
        "retryBudget": Message(
            {"percent": PERCENT, "minRetryConcurrency": COUNT, "budgetInterval": DURATION}
        ),
    }
)
_SCHEMA = Message(
    {
        "host": HOST,
        "trafficPolicy": _TRAFFIC_POLICY,
        "subsets": ListOf(
            Message(
                {"name": DNS_LABEL, "labels": LABELS, "trafficPolicy": _TRAFFIC_POLICY},
                required=("name",),
            )
        ),
        "exportTo": EXPORT_TO,
        "workloadSelector": MATCH_LABELS,
    },
    required=("host",),
)


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    yield from _policy(spec.get("trafficPolicy", {}), ("spec", "trafficPolicy"))
    subsets = spec.get("subsets", [])
    yield from unique(
        ((s["name"], ("spec", "subsets", i, "name")) for i, s in enumerate(subsets)), "subset"
    )
    for index, subset in enumerate(subsets):
        path: Path = ("spec", "subsets", index)
        if not subset.get("labels"):
            yield advice(path, f"subset {subset['name']} has no labels: it is the whole service")
        yield from _policy(subset.get("trafficPolicy", {}), (*path, "trafficPolicy"))


def _policy(policy: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    yield from _settings(policy, path)
    for index, settings in enumerate(policy.get("portLevelSettings", [])):
        yield from _settings(settings, (*path, "portLevelSettings", index))


def _settings(policy: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    tls = policy.get("tls", {})
    if tls.get("mode") == "MUTUAL" and "credentialName" not in tls:
        for name in ("clientCertificate", "privateKey"):
            if not tls.get(name):
                yield invalid((*path, "tls", name), "is required with mode MUTUAL")
    if tls.get("mode") == "ISTIO_MUTUAL":
        for name in ("clientCertificate", "privateKey", "caCertificates", "credentialName"):
            if tls.get(name):
                message = "must be left out with mode ISTIO_MUTUAL: the mesh's identity is used"
                yield invalid((*path, "tls", name), message)
    hash_policy = policy.get("loadBalancer", {}).get("consistentHash")
    keys = ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName")
    if hash_policy is not None and not any(hash_policy.get(key) for key in keys):
        message = f"expected one of {', '.join(keys)}, found none"
        yield invalid((*path, "loadBalancer", "consistentHash"), message)


KIND = ObjectKind("DestinationRule", NETWORKING, _SCHEMA, _rules)
