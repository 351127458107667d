# SPDX-License-Identifier: Apache-2.0
"""AuthorizationPolicy: decided here by a small judge of RBAC's messages, not by their text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Any

import pytest
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2
from google.protobuf import any_pb2

from mesh_control.model import Proxy
from tests.unit.control.translate.builders import (
    DATABASE,
    SERVER,
    STRICT,
    decoded,
    document,
    snapshot,
    spiffe,
)

WEB = {"principal": spiffe("web"), "address": "10.231.1.11", "port": 8080}
GET = {":method": "GET", ":path": "/a", ":authority": "api"}


def text(matcher: Any, value: str) -> bool:
    which = matcher.WhichOneof("match_pattern")
    wanted = getattr(matcher, which)
    if which == "safe_regex":
        return re.fullmatch(wanted.regex, value) is not None
    if matcher.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    return {
        "exact": value == wanted,
        "prefix": value.startswith(wanted),
        "suffix": value.endswith(wanted),
    }[which]


def header(matcher: Any, call: dict[str, Any]) -> bool:
    value = call.get("headers", {}).get(matcher.name)
    if matcher.WhichOneof("header_match_specifier") == "present_match":
        return value is not None
    return value is not None and text(matcher.string_match, value)


def within(block: Any, address: str) -> bool:
    network = f"{block.address_prefix}/{block.prefix_len.value}"
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def holds(condition: Any, call: dict[str, Any]) -> bool:
    """Whether a permission or principal holds for a call."""
    which = condition.WhichOneof(condition.DESCRIPTOR.oneofs[0].name)
    value = getattr(condition, which)
    match which:
        case "any":
            return bool(value)
        case "and_rules" | "or_rules":
            return (all if which == "and_rules" else any)(holds(r, call) for r in value.rules)
        case "and_ids" | "or_ids":
            return (all if which == "and_ids" else any)(holds(r, call) for r in value.ids)
        case "not_rule" | "not_id":
            return not holds(value, call)
        case "header":
            return header(value, call)
        case "url_path":
            return text(value.path, call["headers"][":path"])
        case "destination_port":
            return bool(value == call["port"])
        case "destination_ip":
            return within(value, "10.231.1.21")
        case "direct_remote_ip":
            return within(value, call["address"])
        case "requested_server_name":
            return text(value, call.get("sni", ""))
        case "authenticated":
            return text(value.principal_name, call.get("principal", ""))
    raise AssertionError(which)


def allowed(filters: list[rbac_pb2.RBAC], call: dict[str, Any]) -> bool:
    """Whether all filters let a call pass, each as Envoy decides."""
    for rules in filters:
        matched = any(
            any(holds(p, call) for p in policy.permissions)
            and any(holds(p, call) for p in policy.principals)
            for policy in rules.policies.values()
        )
        if matched is (rules.action == rbac_pb2.RBAC.DENY):
            return False
    return True


def filters_of(proxy: Proxy, *documents: Any, http: bool) -> list[rbac_pb2.RBAC]:
    chain = (
        decoded(snapshot(STRICT, *documents), proxy).listeners["virtualInbound"].filter_chains[-1]
    )
    filters = chain.filters
    if http:
        manager = hcm_pb2.HttpConnectionManager()
        filters[-1].typed_config.Unpack(manager)
        filters = manager.http_filters
    found = []
    for each in filters:
        packed: any_pb2.Any = each.typed_config
        for cls in (http_rbac_pb2.RBAC, network_rbac_pb2.RBAC):
            message = cls()
            if packed.Unpack(message):
                found.append(message.rules)
    return found


def policy(spec: dict[str, Any], **more: Any) -> Any:
    return document("AuthorizationPolicy", spec, **more)


def web_may(spec: dict[str, Any], call: dict[str, Any] | None = None, **more: Any) -> bool:
    """Whether a request of web's passes one policy on the api's HTTP port."""
    request = {**WEB, "headers": GET, **(call or {})}
    return allowed(filters_of(SERVER, policy(spec, **more), http=True), request)


def source(**source: Any) -> dict[str, Any]:
    return {"rules": [{"from": [{"source": source}]}]}


def operation(**operation: Any) -> dict[str, Any]:
    return {"rules": [{"to": [{"operation": operation}]}]}


def test_without_a_policy_there_is_no_filter() -> None:
    assert filters_of(SERVER, http=True) == []


def test_an_empty_policy_allows_nothing() -> None:
    assert not web_may({})


def test_an_empty_rule_allows_everything() -> None:
    assert web_may({"rules": [{}]})


@pytest.mark.parametrize(
    ("spec", "passes"),
    [
        (source(principals=["cluster.local/ns/shop/sa/web"]), True),
        (source(principals=["cluster.local/ns/shop/sa/we"]), False),
        (source(principals=["cluster.local/ns/shop/*"]), True),
        (source(principals=["*/sa/web"]), True),
        (source(principals=["*/sa/api"]), False),
        (source(principals=["*"]), True),
        (source(notPrincipals=["*/sa/web"]), False),
        (source(notPrincipals=["*/sa/api"]), True),
        (source(namespaces=["shop"]), True),
        (source(namespaces=["sho"]), False),
        (source(namespaces=["sh*"]), True),
        (source(notNamespaces=["shop"]), False),
        (source(serviceAccounts=["web"]), True),
        (source(serviceAccounts=["shop/web"]), True),
        (source(serviceAccounts=["other/web"]), False),
        (source(serviceAccounts=["we"]), False),
        (source(notServiceAccounts=["web"]), False),
        (source(ipBlocks=["10.231.1.0/24"]), True),
        (source(ipBlocks=["10.231.1.11"]), True),
        (source(ipBlocks=["fd31::/16", "10.231.2.0/24"]), False),
        (source(notIpBlocks=["10.0.0.0/8"]), False),
        (source(namespaces=["shop"], ipBlocks=["10.231.2.0/24"]), False),
        (operation(ports=["8080"]), True),
        (operation(ports=["80"]), False),
        (operation(notPorts=["8080"]), False),
        (operation(methods=["POST", "GET"]), True),
        (operation(methods=["POST"]), False),
        (operation(notMethods=["GET"]), False),
        (operation(paths=["/a"]), True),
        (operation(paths=["/*"]), True),
        (operation(paths=["*b"]), False),
        (operation(notPaths=["/a"]), False),
        (operation(hosts=["API"]), True),
        (operation(hosts=["*.shop"]), False),
        (operation(notHosts=["a*"]), False),
    ],
)
def test_what_a_rule_says_of_a_request(spec: dict[str, Any], passes: bool) -> None:
    assert web_may(spec) is passes
    assert web_may({**spec, "action": "DENY"}) is not passes


@pytest.mark.parametrize(
    ("condition", "passes"),
    [
        ({"key": "source.namespace", "values": ["shop"]}, True),
        ({"key": "source.principal", "values": ["*/sa/api"]}, False),
        ({"key": "source.serviceAccount", "notValues": ["web"]}, False),
        ({"key": "source.ip", "values": ["10.231.1.0/24"], "notValues": ["10.231.1.11"]}, False),
        ({"key": "destination.ip", "values": ["10.231.1.21"]}, True),
        ({"key": "destination.port", "values": ["80"]}, False),
        ({"key": "connection.sni", "values": ["outbound_.80_*"]}, True),
        ({"key": "request.headers[x-token]", "values": ["secret"]}, True),
        ({"key": "request.headers[x-token]", "notValues": ["*"]}, False),
    ],
)
def test_conditions(condition: dict[str, Any], passes: bool) -> None:
    call = {"headers": {**GET, "x-token": "secret"}, "sni": "outbound_.80_._.api"}
    assert web_may({"rules": [{"when": [condition]}]}, call) is passes


def test_all_parts_of_a_rule_and_any_of_its_alternatives() -> None:
    spec = {
        "rules": [
            {
                "from": [{"source": {"namespaces": ["x"]}}, {"source": {"namespaces": ["shop"]}}],
                "to": [{"operation": {"methods": ["PUT"]}}, {"operation": {"paths": ["/a"]}}],
            }
        ]
    }
    assert web_may(spec)
    spec["rules"][0]["to"].pop()
    assert not web_may(spec)


def test_denying_comes_before_allowing() -> None:
    allow = policy({"rules": [{}]}, name="allow")
    deny = policy({"action": "DENY", **source(principals=["*/sa/web"])}, name="deny")
    filters = filters_of(SERVER, allow, deny, http=True)
    assert [f.action for f in filters] == [rbac_pb2.RBAC.DENY, rbac_pb2.RBAC.ALLOW]
    assert not allowed(filters, {**WEB, "headers": GET})
    assert allowed(filters, {**WEB, "principal": spiffe("api"), "headers": GET})


def test_one_policy_that_allows_is_enough() -> None:
    policies = (
        policy(source(principals=["*/sa/api"]), name="a"),
        policy(source(principals=["*/sa/web"]), name="b"),
    )
    (rules,) = filters_of(SERVER, *policies, http=True)
    assert set(rules.policies) == {"ns[shop]-policy[a]-rule[0]", "ns[shop]-policy[b]-rule[0]"}
    assert allowed([rules], {**WEB, "headers": GET})


@pytest.mark.parametrize(
    ("more", "spec", "holds_here"),
    [
        ({}, {}, True),
        ({"namespace": "istio-system"}, {}, True),
        ({"namespace": "other"}, {}, False),
        ({}, {"selector": {"matchLabels": {"app": "api", "version": "v1"}}}, True),
        ({}, {"selector": {"matchLabels": {"app": "web"}}}, False),
        ({"namespace": "istio-system"}, {"selector": {"matchLabels": {"app": "web"}}}, False),
    ],
)
def test_whom_a_policy_is_for(more: Any, spec: Any, holds_here: bool) -> None:
    assert web_may(spec, **more) is not holds_here


class TestConnections:
    """The same on a port that does not speak HTTP."""

    def may(self, spec: dict[str, Any]) -> bool:
        call = {"principal": spiffe("api"), "address": "10.231.1.21", "port": 5432}
        return allowed(filters_of(DATABASE, policy(spec), http=False), call)

    def test_identity_and_port(self) -> None:
        assert self.may(source(principals=["cluster.local/ns/shop/sa/api"]))
        assert not self.may(source(principals=["cluster.local/ns/shop/sa/web"]))
        assert not self.may(operation(ports=["5433"]))

    def test_allowing_what_only_http_has_allows_nothing(self) -> None:
        assert not self.may(operation(methods=["GET"]))
        assert not self.may(operation(notPaths=["/a"]))
        headers = [{"key": "request.headers[x]", "values": ["1"]}]
        assert not self.may({"rules": [{"when": headers}]})

    def test_another_rule_may_still_allow(self) -> None:
        rules = [
            {"to": [{"operation": {"methods": ["GET"]}}]},
            {"to": [{"operation": {"ports": ["5432"]}}]},
        ]
        assert self.may({"rules": rules})

    def test_denying_what_only_http_has_denies_without_it(self) -> None:
        deny = {"action": "DENY"}
        assert not self.may({**deny, **operation(methods=["GET"])})
        assert not self.may({**deny, **operation(methods=["GET"], ports=["5432"])})
        assert self.may({**deny, **operation(methods=["GET"], ports=["1"])})


def test_ports_of_no_service_are_under_the_same_rules() -> None:
    bare = replace(SERVER, addresses=("10.231.1.77",))
    spec = policy(source(principals=["*/sa/api"]))
    filters = filters_of(bare, spec, http=False)
    assert not allowed(filters, {**WEB, "port": 9999})
    assert allowed(filters, {**WEB, "principal": spiffe("api"), "port": 9999})


def test_path_templates_are_envoys() -> None:
    (rules,) = filters_of(SERVER, policy(operation(paths=["/a/{*}/b/{**}"])), http=True)
    (found,) = rules.policies["ns[shop]-policy[it]-rule[0]"].permissions
    template = found.and_rules.rules[0].or_rules.rules[0].uri_template
    assert b"/a/*/b/**" in template.typed_config.value
