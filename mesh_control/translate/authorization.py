# SPDX-License-Identifier: Apache-2.0
"""AuthorizationPolicy -> Envoy's RBAC, for requests and for connections."""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm_pb2,
)
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb2

from mesh_control.model import Proxy
from mesh_control.translate.api.security import Action, AuthorizationPolicy, Rule
from mesh_control.translate.filters import http_filter, network_filter
from mesh_control.translate.mesh import Mesh, Named, selects
from mesh_control.translate.rules import HttpOnlyError, permissions, principals


def http_filters(mesh: Mesh, proxy: Proxy) -> list[hcm_pb2.HttpFilter]:
    """Return the filters that refuse requests with 403: DENY first, then ALLOW."""
    return [
        http_filter("envoy.filters.http.rbac", http_rbac_pb2.RBAC(rules=rules))
        for rules in _rules(mesh, proxy, http=True)
    ]


def network_filters(mesh: Mesh, proxy: Proxy) -> list[listener_components_pb2.Filter]:
    """Return the filters that close connections, for ports that do not speak HTTP."""
    return [
        network_filter(
            "envoy.filters.network.rbac", network_rbac_pb2.RBAC(rules=rules, stat_prefix="tcp.")
        )
        for rules in _rules(mesh, proxy, http=False)
    ]


def _rules(mesh: Mesh, proxy: Proxy, *, http: bool) -> Iterable[rbac_pb2.RBAC]:
    policies = [named for named in mesh.authorization_policies if _applies(mesh, named, proxy)]
    for action in (Action.DENY, Action.ALLOW):
        chosen = [named for named in policies if named.spec.action is action]
        if chosen:
            deny = action is Action.DENY
            rules = rbac_pb2.RBAC(action=rbac_pb2.RBAC.DENY if deny else rbac_pb2.RBAC.ALLOW)
            for named in chosen:
                _add(named, rules, http=http, deny=deny)
            yield rules


def _applies(mesh: Mesh, named: Named[AuthorizationPolicy], proxy: Proxy) -> bool:
    return named.namespace in (proxy.namespace, mesh.root_namespace) and selects(
        named.spec.selector.match_labels, proxy.labels
    )


def _add(
    named: Named[AuthorizationPolicy], rules: rbac_pb2.RBAC, *, http: bool, deny: bool
) -> None:
    prefix = f"ns[{named.namespace}]-policy[{named.name}]"
    if not named.spec.rules:
        # It selects the workload and allows (or denies) nothing; the filter has to be there.
        rules.policies[f"{prefix}-rule[0]"].CopyFrom(_never())
    for index, rule in enumerate(named.spec.rules):
        try:
            policy = _policy(rule, named.namespace, http=http, deny=deny)
        except HttpOnlyError:
            # A connection cannot show what the rule asks for: it allows less, never more.
            continue
        rules.policies[f"{prefix}-rule[{index}]"].CopyFrom(policy)


def _policy(rule: Rule, namespace: str, *, http: bool, deny: bool) -> rbac_pb2.Policy:
    return rbac_pb2.Policy(
        permissions=permissions(rule, http=http, ignore_http_only=deny),
        principals=principals(rule, namespace, http=http, ignore_http_only=deny),
    )


def _never() -> rbac_pb2.Policy:
    return rbac_pb2.Policy(
        permissions=[rbac_pb2.Permission(not_rule=rbac_pb2.Permission(any=True))],
        principals=[rbac_pb2.Principal(not_id=rbac_pb2.Principal(any=True))],
    )
