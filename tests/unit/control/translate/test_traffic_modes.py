# SPDX-License-Identifier: Apache-2.0
"""Real Envoys again: IPv6, plaintext where it is allowed, rules on paths, what answers first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh_control.model import MeshSnapshot, Protocol
from tests.unit.control.translate.builders import (
    API,
    CLIENT,
    SERVER,
    document,
    endpoint,
    port,
    service,
    snapshot,
    spiffe,
)
from tests.unit.control.translate.hosts_lab import Hosts, missing

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_envoy]

CLOSED = ("closed", "ConnectionResetError")
API_VIP, SIX_VIP, SQL_VIP, OPEN_VIP = "240.240.0.1", "2001:2::6", "240.240.0.7", "240.240.0.8"


def mesh() -> MeshSnapshot:
    mysql = port("tcp-mysql", 3306, Protocol.TCP)
    first = endpoint("10.231.1.21", 3306, "tcp-mysql", "api")
    return snapshot(
        document(
            "AuthorizationPolicy",
            {
                "selector": {"matchLabels": {"app": "api"}},
                "action": "DENY",
                "rules": [
                    {"to": [{"operation": {"paths": ["/admin*"], "ports": ["8080"]}}]},
                    {
                        "from": [{"source": {"principals": ["*/sa/web"]}}],
                        "to": [{"operation": {"ports": ["3306"]}}],
                    },
                ],
            },
        ),
        document("PeerAuthentication", {"mtls": {"mode": "PERMISSIVE"}}),
        services=(
            replace(API, endpoints=API.endpoints[:1]),
            replace(
                service("six", SIX_VIP, port("http", 80, Protocol.HTTP, 8080)),
                endpoints=(endpoint("fd31:1::21", 8080, "http", "api"),),
                service_accounts=(spiffe("api"),),
            ),
            replace(service("sql", SQL_VIP, mysql, first), service_accounts=(spiffe("api"),)),
            replace(
                service(
                    "open",
                    OPEN_VIP,
                    port("tcp-open", 3307, Protocol.TCP),
                    endpoint("10.231.1.21", 3307, "tcp-open", "api"),
                ),
                service_accounts=(spiffe("api"),),
            ),
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
        lab.host("outsider", 1, number=99, captured=False)
        lab.server("api-1", "http", 8080)
        lab.server("outsider", "tcp", 7000)
        lab.server("api-1", "tcp", 3306)
        lab.server("api-1", "banner", 3307)
        both = replace(CLIENT, addresses=("10.231.1.11", "fd31:1::11"))
        lab.envoy("web", mesh(), both, spiffe("web"))
        both = replace(SERVER, addresses=("10.231.1.21", "fd31:1::21"))
        lab.envoy("api-1", mesh(), both, spiffe("api"))
        lab.ready("web", "api-1")
        yield lab
        assert lab.control.refused == []


def test_ipv6_all_the_way(hosts: Hosts) -> None:
    ((status, body),) = hosts.http("web", "six", SIX_VIP)
    assert status == 200
    assert json.loads(body)["source"] == "::6"
    assert f"URI={spiffe('web')}" in json.loads(body)["peer"]
    assert hosts.proof("web")["upstream_host"] == "[fd31:1::21]:8080"


def test_unknown_destinations_pass(hosts: Hosts) -> None:
    assert hosts.tcp("web", "10.231.1.99", 7000) == "outsider heard hello"
    assert hosts.proof("web")["upstream_cluster"] == "PassthroughCluster"


def test_a_path_is_denied_however_it_is_written(hosts: Hosts) -> None:
    for path in ("/admin", "/x/../admin/users", "/./admin"):
        assert hosts.http("web", "api", API_VIP, path=path) == [[403, "RBAC: access denied"]]
    ((status, _),) = hosts.http("web", "api", API_VIP, path="/other")
    assert status == 200


def test_plaintext_from_outside_is_nobodys_and_under_the_same_rules(hosts: Hosts) -> None:
    ((status, body),) = hosts.plain_http("outsider", "10.231.1.21", 8080)
    assert (status, json.loads(body)["peer"]) == (200, "")
    ((status, _),) = hosts.plain_http("outsider", "10.231.1.21", 8080, path="/admin")
    assert status == 403


def test_a_server_that_speaks_first(hosts: Hosts) -> None:
    assert hosts.listen("web", OPEN_VIP, 3307) == ["banner of api-1", "api-1 heard hello"]


def test_what_a_refused_client_says_is_not_heard(hosts: Hosts) -> None:
    """Envoy decides at the client's first byte: what the server says before gets through."""
    assert hosts.tcp("web", SQL_VIP, 3306) in CLOSED
