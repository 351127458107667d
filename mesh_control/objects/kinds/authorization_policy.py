# SPDX-License-Identifier: Apache-2.0
"""AuthorizationPolicy: who may call what."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import MATCH_LABELS, TARGET_REF
from mesh_control.objects.kinds.kind import SECURITY, ObjectKind, advice, invalid
from mesh_control.objects.problems import Finding, Path, found
from mesh_control.objects.scalars import IP_OR_CIDR, NON_EMPTY
from mesh_control.objects.types import Choice, ListOf, Message, Text

_NAMES = ListOf(NON_EMPTY)
_BLOCKS = ListOf(IP_OR_CIDR)
_PORTS = ListOf(
    Text("a port (1 to 65535)", lambda text: text.isdecimal() and 1 <= int(text) <= 65535)
)
_SOURCE = Message(
    {
        "principals": _NAMES,
        "notPrincipals": _NAMES,
        "requestPrincipals": _NAMES,
        "notRequestPrincipals": _NAMES,
        "namespaces": _NAMES,
        "notNamespaces": _NAMES,
        "serviceAccounts": ListOf(NON_EMPTY, at_most=16),
        "notServiceAccounts": ListOf(NON_EMPTY, at_most=16),
        "trustDomains": _NAMES,
        "notTrustDomains": _NAMES,
        "ipBlocks": _BLOCKS,
        "notIpBlocks": _BLOCKS,
        "remoteIpBlocks": _BLOCKS,
        "notRemoteIpBlocks": _BLOCKS,
    }
)
_OPERATION = Message(
    {
        "hosts": _NAMES,
        "notHosts": _NAMES,
        "ports": _PORTS,
        "notPorts": _PORTS,
        "methods": _NAMES,
        "notMethods": _NAMES,
        "paths": _NAMES,
        "notPaths": _NAMES,
    }
)
_RULE = Message(
    {
        "from": ListOf(Message({"source": _SOURCE}, required=("source",)), at_most=512),
        "to": ListOf(Message({"operation": _OPERATION}, required=("operation",))),
        "when": ListOf(
            Message({"key": NON_EMPTY, "values": _NAMES, "notValues": _NAMES}, required=("key",))
        ),
    }
)
_SCHEMA = Message(
    {
        "selector": MATCH_LABELS,
        "targetRef": TARGET_REF,
        "targetRefs": ListOf(TARGET_REF, at_most=16),
        "action": Choice(("ALLOW", "DENY", "AUDIT", "CUSTOM")),
        "provider": Message({"name": NON_EMPTY}),
        "rules": ListOf(_RULE, at_most=512),
    },
    one_of=(("selector", "targetRef", "targetRefs"),),
)

# What Envoy takes of it, and Istio: https://istio.io/latest/docs/reference/config/security/
# authorization-policy/#Operation. Envoy ends itself over a template that is none.
_LITERAL = r"[\w.~%!$&'()+,;:@=-]+"
_TEMPLATE = re.compile(rf"(/({_LITERAL}|\{{\*\}}))*(/\{{\*\*\}}(/{_LITERAL})*)?/?", flags=re.ASCII)
_LONGEST_TEMPLATE = 256

_KEYS = (
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
)
_OPEN_KEY = re.compile(r"(request\.headers|request\.auth\.claims(\[[^\]]+\])*)\[[^\]]+\]")
_PRINCIPAL = re.compile(r"[^/]+/ns/[^/]+/sa/[^/]+")


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    action = spec.get("action", "ALLOW")
    if action in ("DENY", "CUSTOM") and not spec.get("rules"):
        message = f"is required with action {action}: without rules the policy does nothing"
        yield invalid(("spec", "rules"), message)
    if action == "CUSTOM" and "provider" not in spec:
        yield invalid(("spec", "provider"), "is required with action CUSTOM")
    if action != "CUSTOM" and "provider" in spec:
        yield invalid(("spec", "provider"), f"must be left out with action {action}")
    for index, rule in enumerate(spec.get("rules", [])):
        path: Path = ("spec", "rules", index)
        for name in ("from", "to", "when"):
            if rule.get(name) == []:
                yield invalid((*path, name), "expected at least 1 item, found 0")
        for number, item in enumerate(rule.get("from", [])):
            yield from _source(item["source"], (*path, "from", number, "source"))
        for number, item in enumerate(rule.get("to", [])):
            if not item["operation"]:
                yield invalid((*path, "to", number, "operation"), "expected a field, found none")
            yield from _paths(item["operation"], (*path, "to", number, "operation"))
        for number, item in enumerate(rule.get("when", [])):
            yield from _condition(item, (*path, "when", number))


def _source(source: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    if not source:
        yield invalid(path, "expected a field, found none")
    if "serviceAccounts" in source and {"namespaces", "principals"} & set(source):
        message = "cannot stand together with namespaces or principals"
        yield invalid((*path, "serviceAccounts"), message)
    for name in ("principals", "notPrincipals"):
        for index, principal in enumerate(source.get(name, [])):
            place: Path = (*path, name, index)
            if principal.startswith("spiffe://"):
                wanted = principal.removeprefix("spiffe://")
                yield advice(place, f"{found(principal)} matches nobody; did you mean {wanted}?")
            elif "*" in principal.strip("*") or not (
                "*" in principal or _PRINCIPAL.fullmatch(principal)
            ):
                message = "expected TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT, '*' first or last"
                yield advice(place, f"{found(principal)} matches nobody; {message}")


def _paths(operation: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    for name in ("paths", "notPaths"):
        for index, pattern in enumerate(operation.get(name, [])):
            if not {"{", "}"} & set(pattern):
                continue
            place: Path = (*path, name, index)
            if not _TEMPLATE.fullmatch(pattern):
                yield invalid(
                    place,
                    "expected segments between / that are {*}, literals without *, "
                    f"or once {{**}} after which only literals come, found {found(pattern)}",
                )
            elif (size := len(re.sub("[{}]", "", pattern))) > _LONGEST_TEMPLATE:
                message = f"expected at most {_LONGEST_TEMPLATE} characters without braces"
                yield invalid(place, f"{message}, found {size}")


def _condition(condition: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    key = condition["key"]
    if not (
        key in _KEYS or _OPEN_KEY.fullmatch(key) or key.startswith("experimental.envoy.filters.")
    ):
        known = ", ".join((*_KEYS, "request.headers[NAME]", "request.auth.claims[NAME]"))
        yield invalid((*path, "key"), f"expected one of {known}, found {key!r}")
    if not condition.get("values") and not condition.get("notValues"):
        yield invalid(path, "expected values or notValues, found none")


KIND = ObjectKind("AuthorizationPolicy", SECURITY, _SCHEMA, _rules, section_required=False)
