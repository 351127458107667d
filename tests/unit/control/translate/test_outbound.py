# SPDX-License-Identifier: Apache-2.0
"""Listeners for what the workload sends, and the proof they leave."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.stream.v3 import stream_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2

from mesh_control.model import Protocol, Resolution
from tests.unit.control.translate.builders import (
    API,
    CLIENT,
    DB,
    decoded,
    document,
    filter_named,
    port,
    service,
    snapshot,
    unpacked,
)

DUAL = replace(CLIENT, addresses=("10.231.1.11", "fd31:1::11"))


def listeners(*documents: Any, proxy: Any = CLIENT, **more: Any) -> dict[str, Any]:
    found = decoded(snapshot(*documents, **more), proxy).listeners
    return {name: found[name] for name in found if name != "virtualInbound"}


def http(chain: Any) -> Any:
    return filter_named(
        chain, "envoy.filters.network.http_connection_manager", hcm_pb2.HttpConnectionManager
    )


def tcp(chain: Any) -> Any:
    return filter_named(chain, "envoy.filters.network.tcp_proxy", tcp_proxy_pb2.TcpProxy)


def where(listener: Any) -> list[tuple[str, int]]:
    sockets = [listener.address, *(a.address for a in listener.additional_addresses)]
    return [(s.socket_address.address, s.socket_address.port_value) for s in sockets]


def test_only_the_virtual_listener_is_bound() -> None:
    found = listeners()
    assert set(found) == {"virtualOutbound", "0.0.0.0_80", "240.240.0.3_5432"}
    bound = {name for name, made in found.items() if not made.HasField("bind_to_port")}
    assert bound == {"virtualOutbound"}
    assert where(found["virtualOutbound"]) == [("0.0.0.0", 15001)]
    assert found["virtualOutbound"].use_original_dst.value


def test_ipv6_is_bound_where_the_proxy_has_it() -> None:
    dual = replace(DB, addresses=("240.240.0.3", "2001:2::3"))
    found = listeners(proxy=DUAL, services=(API, dual))
    assert where(found["virtualOutbound"]) == [("0.0.0.0", 15001), ("::", 15001)]
    assert where(found["0.0.0.0_80"]) == [("0.0.0.0", 80), ("::", 80)]
    assert where(found["240.240.0.3_5432"]) == [("240.240.0.3", 5432), ("2001:2::3", 5432)]
    only = replace(CLIENT, addresses=("fd31:1::11",))
    found = listeners(proxy=only, services=(API, dual))
    assert set(found) == {"virtualOutbound", "::_80", "2001:2::3_5432"}
    assert where(found["virtualOutbound"]) == [("::", 15001)]


def test_unknown_destinations_pass_or_not_and_the_own_port_never() -> None:
    own, rest = listeners()["virtualOutbound"].filter_chains
    assert own.filter_chain_match.destination_port.value == 15001
    assert tcp(own).cluster == "BlackHoleCluster"
    assert tcp(rest).cluster == "PassthroughCluster"
    closed = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    _, rest = listeners(mesh_config=closed)["virtualOutbound"].filter_chains
    assert tcp(rest).cluster == "BlackHoleCluster"


def test_http_is_routed_by_the_ports_configuration() -> None:
    (chain,) = listeners()["0.0.0.0_80"].filter_chains
    manager = http(chain)
    assert manager.rds.route_config_name == "80"
    assert manager.rds.config_source.HasField("ads")
    assert [f.name for f in manager.http_filters] == [
        "envoy.filters.http.fault",
        "envoy.filters.http.router",
    ]
    assert manager.http_protocol_options.accept_http_10
    assert manager.stream_idle_timeout.ToSeconds() == 0


def test_a_tcp_port_is_known_by_its_address() -> None:
    (chain,) = listeners()["240.240.0.3_5432"].filter_chains
    assert tcp(chain).cluster == f"outbound|5432||{DB.host}"


def test_connections_are_shared_out_by_weight() -> None:
    rule = document(
        "VirtualService",
        {
            "hosts": ["db"],
            "tcp": [
                {"match": [{"port": 5433}], "route": [{"destination": {"host": "x"}}]},
                {
                    "route": [
                        {"destination": {"host": "db", "subset": "new"}, "weight": 10},
                        {"destination": {"host": "db"}, "weight": 90},
                    ]
                },
            ],
        },
    )
    (chain,) = listeners(rule)["240.240.0.3_5432"].filter_chains
    assert [(c.name, c.weight) for c in tcp(chain).weighted_clusters.clusters] == [
        (f"outbound|5432|new|{DB.host}", 10),
        (f"outbound|5432||{DB.host}", 90),
    ]


def test_an_idle_time_of_the_rule_holds_for_connections() -> None:
    pool = {"tcp": {"idleTimeout": "2h"}}
    rule = document("DestinationRule", {"host": "db", "trafficPolicy": {"connectionPool": pool}})
    (chain,) = listeners(rule)["240.240.0.3_5432"].filter_chains
    assert tcp(chain).idle_timeout.ToSeconds() == 7200


class TestServerNames:
    """Ports whose protocol is TLS."""

    def named(self, name: str, address: str = "", **more: Any) -> Any:
        made = service(name, address, port("tls", 443, Protocol.TLS))
        return replace(made, host=f"{name}.example.com", **more)

    def test_a_rule_chooses_by_them(self) -> None:
        rule = document(
            "VirtualService",
            {
                "hosts": ["a.example.com"],
                "tls": [
                    {
                        "match": [{"sniHosts": ["x.example.com"], "port": 443}],
                        "route": [{"destination": {"host": "x.example.com"}}],
                    }
                ],
            },
        )
        made = listeners(rule, services=(self.named("a", "240.240.0.9"),))["240.240.0.9_443"]
        assert [f.name for f in made.listener_filters] == ["envoy.filters.listener.tls_inspector"]
        chosen, rest = made.filter_chains
        assert list(chosen.filter_chain_match.server_names) == ["x.example.com"]
        assert tcp(chosen).cluster == "outbound|443||x.example.com"
        assert tcp(rest).cluster == "outbound|443||a.example.com"

    def test_without_an_address_they_are_all_there_is(self) -> None:
        services = (self.named("a"), self.named("*.b"))
        made = listeners(services=services)["0.0.0.0_443"]
        assert [list(c.filter_chain_match.server_names) for c in made.filter_chains] == [
            ["*.b.example.com"],
            ["a.example.com"],
        ]
        assert tcp(made.default_filter_chain).cluster == "PassthroughCluster"


def test_tcp_without_an_address_is_only_taken_when_it_goes_where_the_client_goes() -> None:
    bare = replace(DB, addresses=())
    assert set(listeners(services=(bare,))) == {"virtualOutbound"}
    anywhere = replace(bare, resolution=Resolution.NONE, external=True)
    assert "0.0.0.0_5432" in listeners(services=(anywhere,))


def test_http_keeps_a_port_that_others_want() -> None:
    anywhere = replace(
        service("any", "", port("tcp", 80, Protocol.TCP)), resolution=Resolution.NONE
    )
    (chain,) = listeners(services=(API, anywhere))["0.0.0.0_80"].filter_chains
    assert http(chain).rds.route_config_name == "80"


@pytest.mark.parametrize("name", ["virtualOutbound", "0.0.0.0_80", "240.240.0.3_5432"])
def test_calls_from_proof_ports_are_logged(name: str) -> None:
    chain = listeners()[name].filter_chains[-1]
    logs = http(chain).access_log if name.endswith("_80") else tcp(chain).access_log
    (log,) = logs
    expression = unpacked(log.filter.extension_filter.typed_config, cel_pb2.ExpressionFilter)
    assert expression.expression == "source.port >= 15900 && source.port < 16000"
    file = unpacked(log.typed_config, file_pb2.FileAccessLog)
    assert file.path == "/var/log/mesh-proxy/proof.log"
    assert set(file.log_format.json_format.fields) == {
        "downstream_remote_address",
        "upstream_host",
        "upstream_cluster",
        "upstream_peer_uri_san",
        "upstream_peer_cert",
        "upstream_tls_version",
        "response_code",
        "response_flags",
        "requested_server_name",
        "upstream_transport_failure_reason",
        "start_time",
        "duration",
        "protocol",
    }


def test_the_meshs_access_log_comes_beside_the_proof() -> None:
    (chain,) = listeners(mesh_config={"accessLogFile": "/var/log/access"})[
        "0.0.0.0_80"
    ].filter_chains
    _, log = http(chain).access_log
    assert unpacked(log.typed_config, file_pb2.FileAccessLog).path == "/var/log/access"
    (chain,) = listeners(mesh_config={"accessLogFile": "/dev/stdout"})["0.0.0.0_80"].filter_chains
    _, log = http(chain).access_log
    unpacked(log.typed_config, stream_pb2.StdoutAccessLog)
