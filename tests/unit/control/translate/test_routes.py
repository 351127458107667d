# SPDX-License-Identifier: Apache-2.0
"""Routes: hosts and their short forms, VirtualServices, what is for no service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2

from mesh_control.model import Protocol, Proxy
from tests.unit.control.translate.builders import (
    API,
    CLIENT,
    DB,
    WEB,
    decoded,
    document,
    port,
    service,
    snapshot,
    unpacked,
)

CLUSTER = f"outbound|80||{API.host}"
OTHER = replace(CLIENT, namespace="front", domain="front.svc.cluster.local")


def hosts(*documents: Any, proxy: Proxy = CLIENT, number: int = 80, **more: Any) -> dict[str, Any]:
    configuration = decoded(snapshot(*documents, **more), proxy).routes[str(number)]
    return {host.name: host for host in configuration.virtual_hosts}


def http(*routes: dict[str, Any], **more: Any) -> Any:
    return document("VirtualService", {"hosts": ["api"], "http": list(routes)}, **more)


def routes(*given: dict[str, Any], proxy: Proxy = CLIENT) -> list[Any]:
    return list(hosts(http(*given), proxy=proxy)[f"{API.host}:80"].routes)


def to(host: str = "api", **more: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **more}}


def test_one_configuration_per_http_port() -> None:
    grpc = service("grpc", "240.240.0.8", port("grpc", 9090, Protocol.GRPC))
    found = decoded(snapshot(services=(API, DB, grpc)), CLIENT).routes
    assert set(found) == {"80", "9090"}
    assert [h.name for h in found["9090"].virtual_hosts] == [f"{grpc.host}:9090", "allow_any"]


def test_a_service_is_known_by_all_forms_of_its_name() -> None:
    host = hosts()[f"{API.host}:80"]
    assert list(host.domains) == [
        "api.shop.svc.cluster.local",
        "api.shop.svc.cluster.local.",
        "api.shop",
        "api.shop.svc",
        "api",
        "240.240.0.1",
    ]
    assert decoded(snapshot(), CLIENT).routes["80"].ignore_port_in_host_matching


def test_the_bare_name_is_for_clients_of_the_same_namespace() -> None:
    domains = hosts(proxy=OTHER)[f"{API.host}:80"].domains
    assert "api.shop" in domains
    assert "api" not in domains


def test_virtual_addresses_of_the_clients_families_are_names_too() -> None:
    dual = replace(API, addresses=("240.240.0.1", "2001:2::1"))
    domains = hosts(services=(dual,))[f"{API.host}:80"].domains
    assert "[2001:2::1]" not in domains
    both = replace(CLIENT, addresses=("10.231.1.11", "fd31:1::11"))
    assert "[2001:2::1]" in hosts(services=(dual,), proxy=both)[f"{API.host}:80"].domains


def test_no_domain_stands_twice() -> None:
    external = replace(WEB, host="api.shop", addresses=("240.240.0.1",), registry="External")
    found = hosts(services=(API, external))
    assert list(found["api.shop:80"].domains) == ["api.shop", "api.shop.", "240.240.0.1"]
    assert list(found[f"{API.host}:80"].domains)[2:] == ["api.shop.svc", "api"]
    domains = [domain for host in found.values() for domain in host.domains]
    assert len(domains) == len(set(domains))


def test_what_is_for_no_service_passes_or_is_blocked() -> None:
    (route,) = hosts()["allow_any"].routes
    assert route.route.cluster == "PassthroughCluster"
    closed = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
    (route,) = hosts(mesh_config=closed)["block_all"].routes
    assert route.direct_response.status == 502


def test_without_rules_a_request_is_retried_and_not_limited() -> None:
    (route,) = hosts()[f"{API.host}:80"].routes
    assert route.route.cluster == CLUSTER
    assert route.route.timeout.ToSeconds() == 0
    policy = route.route.retry_policy
    assert policy.num_retries.value == 2
    assert policy.retry_on == (
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    )
    assert list(policy.retriable_status_codes) == [503]
    (predicate,) = policy.retry_host_predicate
    assert predicate.name == "envoy.retry_host_predicates.previous_hosts"


def test_weights_are_shares_of_subsets() -> None:
    (route,) = routes(
        {
            "route": [
                {**to(subset="v1"), "weight": 3},
                {**to(subset="v2"), "weight": 1},
                {**to("web"), "weight": 0},
            ]
        }
    )
    weighted = [(c.name, c.weight.value) for c in route.route.weighted_clusters.clusters]
    assert weighted == [(f"outbound|80|v1|{API.host}", 3), (f"outbound|80|v2|{API.host}", 1)]


def test_a_single_destination_takes_all_whatever_its_weight() -> None:
    (route,) = routes({"route": [{**to(subset="v1"), "weight": 5}]})
    assert route.route.cluster == f"outbound|80|v1|{API.host}"


def test_a_destinations_port_is_given_or_the_only_one_or_the_called() -> None:
    (route,) = routes({"route": [to(port={"number": 81})]})
    assert route.route.cluster == f"outbound|81||{API.host}"
    (route,) = routes({"route": [to("db")]})
    assert route.route.cluster == f"outbound|5432||{DB.host}"
    (route,) = routes({"route": [to("unknown.example.com")]})
    assert route.route.cluster == "outbound|80||unknown.example.com"


def test_short_hosts_are_of_the_rules_namespace() -> None:
    elsewhere = document(
        "VirtualService",
        {"hosts": [API.host], "http": [{"route": [to("web")]}]},
        namespace="other",
    )
    (route,) = hosts(elsewhere)[f"{API.host}:80"].routes
    assert route.route.cluster == "outbound|80||web.other.svc.cluster.local"


def test_matches_are_alternatives_in_order() -> None:
    match = [
        {"uri": {"exact": "/a"}, "method": {"exact": "GET"}},
        {"uri": {"prefix": "/b"}, "headers": {"x-one": {"regex": "1+"}, "x-any": {}}},
        {"uri": {"regex": "/c.*"}, "withoutHeaders": {"x-not": {"exact": "1"}}},
        {"queryParams": {"q": {"exact": "1"}}, "ignoreUriCase": True},
    ]
    found = [r.match for r in routes({"match": match, "route": [to()]})]
    assert [m.WhichOneof("path_specifier") for m in found] == [
        "path",
        "prefix",
        "safe_regex",
        "prefix",
    ]
    (method,) = found[0].headers
    assert (method.name, method.string_match.exact) == (":method", "GET")
    present, pattern = found[1].headers
    assert (present.name, present.present_match) == ("x-any", True)
    assert pattern.string_match.safe_regex.regex == "1+"
    (absent,) = found[2].headers
    assert absent.invert_match
    assert absent.treat_missing_header_as_empty
    assert found[3].query_parameters[0].string_match.exact == "1"
    assert not found[3].case_sensitive.value


def test_matches_that_can_be_decided_now_are() -> None:
    given = (
        {"match": [{"port": 81}], "route": [to("a")]},
        {"match": [{"sourceLabels": {"app": "db"}}], "route": [to("b")]},
        {"match": [{"sourceNamespace": "front"}], "route": [to("c")]},
        {"match": [{"port": 80, "sourceLabels": {"app": "web"}}], "route": [to("web")]},
    )
    (route,) = routes(*given)
    assert route.route.cluster == f"outbound|80||{WEB.host}"


def test_a_rule_without_a_match_for_the_client_leaves_the_default() -> None:
    (route,) = routes({"match": [{"port": 81}], "route": [to("web")]})
    assert (route.name, route.route.cluster) == ("default", CLUSTER)


def test_the_oldest_rule_for_a_host_counts_and_a_closer_one_more() -> None:
    def made(name: str, host: str, cluster: str, created: int) -> Any:
        spec = {"hosts": [host], "http": [{"route": [to(cluster)]}]}
        return document("VirtualService", spec, name=name, created=created)

    wide = made("wide", "*.svc.cluster.local", "w", 1)
    older, newer = made("older", "api", "x", 2), made("newer", "api", "y", 3)
    found = hosts(newer, older, wide)
    assert found[f"{API.host}:80"].routes[0].route.cluster.endswith("x.shop.svc.cluster.local")
    assert found[f"{WEB.host}:80"].routes[0].route.cluster.endswith("w.shop.svc.cluster.local")


def test_rules_for_gateways_only_are_not_the_meshs() -> None:
    rule = document(
        "VirtualService",
        {"hosts": ["api"], "gateways": ["edge"], "http": [{"route": [to("web")]}]},
    )
    (route,) = hosts(rule)[f"{API.host}:80"].routes
    assert route.route.cluster == CLUSTER


def test_hosts_that_no_service_has_are_routed_on_port_80() -> None:
    rule = document(
        "VirtualService", {"hosts": ["old.example.com"], "http": [{"route": [to("api")]}]}
    )
    host = hosts(rule)["old.example.com:80"]
    assert list(host.domains) == ["old.example.com"]
    assert host.routes[0].route.cluster == CLUSTER


def test_headers_are_set_added_removed_and_host_is_a_rewrite() -> None:
    headers = {
        "request": {"set": {"x-a": "1", "Host": "other"}, "add": {"x-b": "2"}, "remove": ["x-c"]},
        "response": {"remove": ["server"]},
    }
    (route,) = routes({"route": [{**to(), "headers": headers}]})
    option = base_pb2.HeaderValueOption
    assert [
        (h.header.key, h.header.value, h.append_action) for h in route.request_headers_to_add
    ] == [
        ("x-a", "1", option.OVERWRITE_IF_EXISTS_OR_ADD),
        ("x-b", "2", option.APPEND_IF_EXISTS_OR_ADD),
    ]
    assert list(route.request_headers_to_remove) == ["x-c"]
    assert list(route.response_headers_to_remove) == ["server"]
    assert route.route.host_rewrite_literal == "other"


def test_weighted_destinations_keep_their_host_unless_told() -> None:
    headers = {"request": {"set": {"host": "other"}}}
    (route,) = routes(
        {"route": [{**to(subset="v1"), "weight": 1}, {**to(), "weight": 1, "headers": headers}]}
    )
    first, second = route.route.weighted_clusters.clusters
    assert not first.HasField("host_rewrite_literal")
    assert second.host_rewrite_literal == "other"
    assert not route.route.HasField("host_rewrite_literal")


def test_rewrite_redirect_and_direct_response() -> None:
    rewritten, moved, answered = routes(
        {
            "match": [{"uri": {"prefix": "/a"}}],
            "route": [to()],
            "rewrite": {"uri": "/b", "authority": "other"},
        },
        {
            "match": [{"uri": {"prefix": "/c"}}],
            "redirect": {"uri": "/d", "redirectCode": 302, "scheme": "https", "port": 8443},
        },
        {"directResponse": {"status": 404, "body": {"string": "gone"}}},
    )
    assert rewritten.route.prefix_rewrite == "/b"
    assert rewritten.route.host_rewrite_literal == "other"
    assert moved.redirect.path_redirect == "/d"
    assert moved.redirect.response_code == route_components_pb2.RedirectAction.FOUND
    assert (moved.redirect.scheme_redirect, moved.redirect.port_redirect) == ("https", 8443)
    assert (answered.direct_response.status, answered.direct_response.body.inline_string) == (
        404,
        "gone",
    )


def test_timeout_and_retries() -> None:
    limited, once = routes(
        {
            "match": [{"uri": {"prefix": "/a"}}],
            "route": [to()],
            "timeout": "2s",
            "retries": {"attempts": 4, "retryOn": "gateway-error,409", "perTryTimeout": "500ms"},
        },
        {"route": [to()], "retries": {"attempts": 0}},
    )
    assert limited.route.timeout.ToSeconds() == 2
    policy = limited.route.retry_policy
    assert (policy.num_retries.value, policy.per_try_timeout.ToMilliseconds()) == (4, 500)
    assert policy.retry_on == "gateway-error,retriable-status-codes"
    assert list(policy.retriable_status_codes) == [409]
    assert not once.route.HasField("retry_policy")


def test_faults_have_a_share_of_the_requests() -> None:
    fault = {
        "delay": {"fixedDelay": "3s", "percentage": {"value": 0.5}},
        "abort": {"httpStatus": 500},
    }
    (route,) = routes({"route": [to()], "fault": fault})
    made = unpacked(route.typed_per_filter_config["envoy.filters.http.fault"], fault_pb2.HTTPFault)
    assert made.delay.fixed_delay.ToSeconds() == 3
    assert made.delay.percentage.numerator == 5000  # of a million
    assert made.abort.percentage.numerator == 0
