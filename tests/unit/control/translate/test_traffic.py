# SPDX-License-Identifier: Apache-2.0
"""What is translated, unchanged, in real Envoys, between hosts on two networks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_control.model import MeshSnapshot
from tests.unit.control.translate.builders import (
    AUTO_PASSTHROUGH,
    CLIENT,
    DATABASE,
    SERVER,
    STRICT,
    SUBSETS,
    document,
    router,
    sidecar,
    snapshot,
    spiffe,
)
from tests.unit.control.translate.hosts_lab import Hosts, missing

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_envoy]

DB = "db.shop.svc.cluster.local"
CLOSED = ("closed", "ConnectionResetError")
API = "api.shop.svc.cluster.local"
API_VIP, DB_VIP = "240.240.0.1", "240.240.0.3"


def mesh() -> MeshSnapshot:
    return snapshot(
        STRICT,
        SUBSETS,
        AUTO_PASSTHROUGH,
        document(
            "VirtualService",
            {
                "hosts": ["api"],
                "http": [
                    {
                        "route": [
                            {"destination": {"host": "api", "subset": "v1"}, "weight": 75},
                            {"destination": {"host": "api", "subset": "v2"}, "weight": 25},
                        ]
                    }
                ],
            },
        ),
        document(
            "AuthorizationPolicy",
            {
                "selector": {"matchLabels": {"app": "api"}},
                "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/web"]}}]}],
            },
            name="api",
        ),
        document(
            "AuthorizationPolicy",
            {
                "selector": {"matchLabels": {"app": "db"}},
                "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/api"]}}]}],
            },
            name="db",
        ),
    )


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    if reason := missing():
        pytest.skip(reason)
    directory: Path = tmp_path_factory.mktemp("hosts")
    with Hosts(directory) as lab:
        lab.host("web", 1, number=11)
        lab.host("api-1", 1, number=21)
        lab.host("api-2", 1, number=22)
        lab.host("outsider", 1, number=99, captured=False)
        lab.host("gateway", 1, 2, number=2, captured=False)
        lab.host("db", 2, number=31)
        lab.server("api-1", "http", 8080)
        lab.server("api-2", "http", 8080)
        lab.server("db", "tcp", 5432)
        lab.envoy("web", mesh(), CLIENT, spiffe("web"))
        lab.envoy("api-1", mesh(), SERVER, spiffe("api"))
        second = sidecar("api", "10.231.1.22", labels={"app": "api", "version": "v2"})
        lab.envoy("api-2", mesh(), second, spiffe("api"))
        gateway = router("network-1", "network-2")
        lab.envoy("gateway", mesh(), gateway, spiffe("gateway", "istio-system"))
        lab.envoy("db", mesh(), DATABASE, spiffe("db"))
        lab.ready("web", "api-1", "api-2", "gateway", "db")
        yield lab
        assert lab.control.refused == []


def test_requests_spread_by_the_weights(hosts: Hosts) -> None:
    answers = hosts.http("web", API, API_VIP, count=400)
    assert {status for status, _ in answers} == {200}
    spread = Counter(json.loads(body)["host"] for _, body in answers)
    assert 260 <= spread["api-1"] <= 340
    assert spread["api-2"] == 400 - spread["api-1"]


def test_the_server_is_told_who_calls_and_sees_the_marked_source(hosts: Hosts) -> None:
    ((_, body),) = hosts.http("web", "api", API_VIP)
    answer = json.loads(body)
    assert f"URI={spiffe('web')}" in answer["peer"]
    assert answer["source"].endswith("127.0.0.6")


def test_an_identity_that_no_rule_names_gets_403(hosts: Hosts) -> None:
    assert hosts.http("db", API, API_VIP) == [[403, "RBAC: access denied"]]
    proof = hosts.proof("db")
    assert proof["upstream_host"] == "10.231.2.2:15443"
    assert proof["response_code"] == 403


def test_an_old_client_is_served(hosts: Hosts) -> None:
    answer = hosts.tcp("web", API_VIP, 80, "GET / HTTP/1.0\r\nHost: api\r\n\r\n")
    assert " 200 OK" in answer.splitlines()[0]


@pytest.mark.parametrize("port", [8080, 9999], ids=["of a service", "of none"])
def test_plaintext_to_strict_is_reset(hosts: Hosts, port: int) -> None:
    assert hosts.plain_tcp("outsider", "10.231.1.21", port) == "ConnectionResetError"


def test_a_client_across_networks_goes_through_the_gateway_with_its_own_identity(
    hosts: Hosts,
) -> None:
    assert hosts.tcp("api-1", DB_VIP, 5432) == "db heard hello"
    proof = hosts.proof("api-1")
    assert proof["upstream_host"] == "10.231.1.2:15443"
    assert proof["upstream_peer_uri_san"] == spiffe("db")
    assert proof["upstream_tls_version"] == "TLSv1.3"
    assert "BEGIN%20CERTIFICATE" in proof["upstream_peer_cert"]


def test_an_identity_that_no_rule_names_has_its_connection_closed(hosts: Hosts) -> None:
    assert hosts.tcp("web", DB_VIP, 5432) in CLOSED


def test_the_gateway_refuses_what_is_not_the_meshs(hosts: Hosts) -> None:
    known = f"outbound_.5432_._.{DB}"
    assert hosts.plain_tcp("outsider", "10.231.1.2", 15443) == "ConnectionResetError"
    refused = ("ConnectionResetError", "SSLEOFError")
    assert hosts.plain_tls("outsider", "10.231.1.2", 15443, known, "http/1.1") in refused
    unknown = f"outbound_.5433_._.{DB}"
    assert hosts.plain_tls("outsider", "10.231.1.2", 15443, unknown, "istio") in refused
    # The way through is open; at its end a certificate is asked for, which TLS 1.3 tells later.
    assert hosts.plain_tls("outsider", "10.231.1.2", 15443, known, "istio") == "TLSv1.3"


def test_without_the_gateway_the_other_network_is_away_and_comes_back(hosts: Hosts) -> None:
    hosts.stop_envoy("gateway")
    assert hosts.tcp("api-1", DB_VIP, 5432) in CLOSED
    hosts.start_envoy("gateway")
    hosts.ready("gateway")
    assert hosts.tcp("api-1", DB_VIP, 5432) == "db heard hello"
