# SPDX-License-Identifier: Apache-2.0
"""One rule of an AuthorizationPolicy: what is asked (permissions), and by whom (principals).

A connection has no method, path, host or headers. There an ALLOW rule that names them never
matches and a DENY rule matches without them, so that neither lets more through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from envoy.config.core.v3 import address_pb2, extension_pb2
from envoy.config.rbac.v3 import rbac_pb2
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2
from envoy.type.matcher.v3 import path_pb2, string_pb2

from mesh_control.translate.api.security import Condition, Operation, Rule, Source
from mesh_control.translate.api.values import Cidr
from mesh_control.translate.matchers import regex, wildcard, wildcard_header
from mesh_control.translate.wire import pack, u32

Make = Callable[[Any], Any]
Clause = tuple[Make, Iterable[object], Iterable[object], bool]  # values, notValues, only of HTTP


class HttpOnlyError(Exception):
    """An ALLOW rule that can never match a connection."""


def permissions(rule: Rule, *, http: bool, ignore_http_only: bool) -> list[rbac_pb2.Permission]:
    """Return one permission per ``to``; any of them is enough.

    Raises:
        HttpOnlyError: the rule needs HTTP and there is none.
    """
    when = [c for condition in rule.when for c in _asked_when(condition)]
    join = partial(_join, rbac_pb2.Permission, "rule", http=http, ignore=ignore_http_only)
    return [join([*_asked(to.operation), *when]) for to in rule.to] or [join(when)]


def principals(
    rule: Rule, namespace: str, *, http: bool, ignore_http_only: bool
) -> list[rbac_pb2.Principal]:
    """Return one principal per ``from``; ``namespace`` is that of bare service accounts.

    Raises:
        HttpOnlyError: the rule needs HTTP and there is none.
    """
    when = [c for condition in rule.when for c in _asking_when(condition, namespace)]
    join = partial(_join, rbac_pb2.Principal, "id", http=http, ignore=ignore_http_only)
    return [join([*_asking(f.source, namespace), *when]) for f in rule.from_] or [join(when)]


def _asked(operation: Operation) -> list[Clause]:
    return [
        (_port, operation.ports, operation.not_ports, False),
        (_method, operation.methods, operation.not_methods, True),
        (_path, operation.paths, operation.not_paths, True),
        (_host, operation.hosts, operation.not_hosts, True),
    ]


def _asked_when(condition: Condition) -> list[Clause]:
    makers: dict[str, Make] = {
        "destination.port": _port,
        "destination.ip": _destination,
        "connection.sni": _server_name,
    }
    return _clauses(condition, makers.get(condition.key))


def _asking(source: Source, namespace: str) -> list[Clause]:
    account = partial(_service_account, namespace)
    return [
        (_identity, source.principals, source.not_principals, False),
        (account, source.service_accounts, source.not_service_accounts, False),
        (_namespace, source.namespaces, source.not_namespaces, False),
        (_address, source.ip_blocks, source.not_ip_blocks, False),
    ]


def _asking_when(condition: Condition, namespace: str) -> list[Clause]:
    if condition.key.startswith("request.headers["):
        name = condition.key.removeprefix("request.headers[").removesuffix("]")
        return [(partial(_header, name), condition.values, condition.not_values, True)]
    makers: dict[str, Make] = {
        "source.ip": _address,
        "source.namespace": _namespace,
        "source.principal": _identity,
        "source.serviceAccount": partial(_service_account, namespace),
    }
    return _clauses(condition, makers.get(condition.key))


def _clauses(condition: Condition, make: Make | None) -> list[Clause]:
    return [] if make is None else [(make, condition.values, condition.not_values, False)]


def _join(kind: Any, word: str, clauses: Iterable[Clause], *, http: bool, ignore: bool) -> Any:
    """All clauses; of a clause's values one, of its notValues none."""
    every: list[Any] = []
    for make, values, not_values, http_only in clauses:
        if not (values or not_values):
            continue
        if http_only and not http:
            if ignore:
                continue
            raise HttpOnlyError
        if values:
            every.append(_any_of(kind, word, [make(v) for v in values]))
        if not_values:
            none = _any_of(kind, word, [make(v) for v in not_values])
            every.append(kind(**{f"not_{word}": none}))
    return kind(**{f"and_{word}s": kind.Set(**{f"{word}s": every or [kind(any=True)]})})


def _any_of(kind: Any, word: str, options: list[Any]) -> Any:
    return kind(**{f"or_{word}s": kind.Set(**{f"{word}s": options})})


def _port(value: str) -> rbac_pb2.Permission:
    return rbac_pb2.Permission(destination_port=int(value))


def _method(value: str) -> rbac_pb2.Permission:
    return rbac_pb2.Permission(header=wildcard_header(":method", value))


def _host(value: str) -> rbac_pb2.Permission:
    return rbac_pb2.Permission(header=wildcard_header(":authority", value, ignore_case=True))


def _path(value: str) -> rbac_pb2.Permission:
    if "{*}" in value or "{**}" in value:
        template = value.replace("{**}", "**").replace("{*}", "*")
        config = uri_template_match_pb2.UriTemplateMatchConfig(path_template=template)
        return rbac_pb2.Permission(
            uri_template=extension_pb2.TypedExtensionConfig(
                name="uri-template", typed_config=pack(config)
            )
        )
    return rbac_pb2.Permission(url_path=path_pb2.PathMatcher(path=wildcard(value)))


def _destination(value: str) -> rbac_pb2.Permission:
    return rbac_pb2.Permission(destination_ip=_range(Cidr.parse(value)))


def _server_name(value: str) -> rbac_pb2.Permission:
    return rbac_pb2.Permission(requested_server_name=wildcard(value))


def _address(value: Cidr | str) -> rbac_pb2.Principal:
    block = value if isinstance(value, Cidr) else Cidr.parse(value)
    return rbac_pb2.Principal(direct_remote_ip=_range(block))


def _range(block: Cidr) -> address_pb2.CidrRange:
    return address_pb2.CidrRange(address_prefix=block.address, prefix_len=u32(block.length))


def _header(name: str, value: str) -> rbac_pb2.Principal:
    return rbac_pb2.Principal(header=wildcard_header(name, value))


def _identity(value: str) -> rbac_pb2.Principal:
    return _authenticated(wildcard(value, prefix="spiffe://"))


def _namespace(value: str) -> rbac_pb2.Principal:
    name = ".*".join(re.escape(part) for part in value.split("*"))
    return _matching(f".*/ns/{name}/.*")


def _service_account(namespace: str, value: str) -> rbac_pb2.Principal:
    """``name`` in the policy's namespace, or ``namespace/name``."""
    owner, _unused, name = value.rpartition("/")
    owner = re.escape(owner or namespace)
    return _matching(f"spiffe://.+/ns/{owner}/(.+/|)sa/{re.escape(name)}(/.+)?")


def _matching(pattern: str) -> rbac_pb2.Principal:
    return _authenticated(string_pb2.StringMatcher(safe_regex=regex(pattern)))


def _authenticated(name: string_pb2.StringMatcher) -> rbac_pb2.Principal:
    return rbac_pb2.Principal(authenticated=rbac_pb2.Principal.Authenticated(principal_name=name))
