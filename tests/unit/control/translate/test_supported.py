# SPDX-License-Identifier: Apache-2.0
"""The table of supported fields tells the truth: each of them changes what is translated."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from mesh_control.model import Document
from mesh_control.translate import SUPPORTED, Resources, Translator, problems
from mesh_core.errors import ConfigError
from tests.unit.control.translate.builders import document
from tests.unit.control.translate.full import PROXIES, full_documents, full_snapshot

Steps = tuple[Any, ...]

DOCUMENTS = full_documents()
_CLIENT, _SERVER, _DATABASE, _ROUTER, *_ = PROXIES
WATCHERS = {
    "PeerAuthentication": [_CLIENT, _SERVER],
    "AuthorizationPolicy": [_SERVER, _DATABASE],
}
# What has one meaning only; other values are refused. TLS passed through may hold anything.
ALIKE = {"servers[].port.protocol=TLS", "servers[].port.protocol=HTTPS", "exportTo[]=*"}


def leaves(value: Any, steps: Steps = ()) -> Iterator[Steps]:
    """Where the scalars of a document stand."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*steps, index))
    else:
        yield steps


def fields(kind: str, spec: Any, steps: Steps) -> str:
    """The supported field at a place, without its value."""
    known = {path.partition("=")[0] for path in SUPPORTED[kind]}
    found, place = [""], spec
    for step in steps:
        names = ["[]"] if isinstance(place, list) else [f".{step}", ".*"]
        found = [f"{before}{name}".removeprefix(".") for before in found for name in names]
        found = [made for made in found if any(path.startswith(made) for path in known)]
        place = place[step]
    return next((made for made in found if made in known), "")


def variants(kind: str, field: str, value: Any) -> list[Any]:
    """Other values for a field."""
    if field == "rules[].when[].key":
        return ["source.namespace"]
    choice = [p.partition("=")[2] for p in SUPPORTED[kind] if p.startswith(f"{field}=")]
    if choice:
        return [other for other in choice if other != value]
    if isinstance(value, bool):
        return [not value]
    return [value + 1] if isinstance(value, int | float) else [f"{value}x", f"1{value}"]


def changed(whole: Document, steps: Steps, values: list[Any]) -> Iterator[list[Resources]]:
    """What is translated without the value at a place, or with others there."""
    for value in (None, *values):
        spec: Any = copy.deepcopy(whole.spec)
        place = spec
        for step in steps[:-1]:
            place = place[step]
        if value is not None:
            place[steps[-1]] = value
        elif isinstance(place, list):
            del place[steps[-1]]
        else:
            place[steps[-1]] = None
        with contextlib.suppress(ConfigError):
            documents = [replace(d, spec=spec) if d is whole else d for d in DOCUMENTS]
            yield translated(whole.kind, documents)


def translated(kind: str, documents: list[Document]) -> list[Resources]:
    """What proxies get that documents of this kind concern."""
    translator = Translator(full_snapshot(documents))
    return [translator.resources(proxy) for proxy in WATCHERS.get(kind, [_CLIENT, _ROUTER])]


@pytest.mark.parametrize("kind", SUPPORTED)
def test_every_supported_field_makes_a_difference(kind: str) -> None:
    before = translated(kind, DOCUMENTS)
    effective: set[str] = set()
    for whole in (d for d in DOCUMENTS if d.kind == kind):
        for steps in leaves(whole.spec):
            field = fields(kind, whole.spec, steps)
            assert field, f"{kind}: {steps} is in the example and not supported"
            value: Any = whole.spec
            for step in steps:
                value = value[step]
            shown = {f"{field}={value}", field} & SUPPORTED[kind]
            if shown <= effective:
                continue
            others = variants(kind, field, value)
            if any(after != before for after in changed(whole, steps, others)):
                effective |= {p for p in SUPPORTED[kind] if p.partition("=")[0] == field}
    assert SUPPORTED[kind] - effective - ALIKE == set()


def test_the_example_has_no_problems() -> None:
    assert [problems(d) for d in DOCUMENTS] == [[] for _ in DOCUMENTS]


@pytest.mark.parametrize(
    ("kind", "spec", "expected"),
    [
        (
            "VirtualService",
            {
                "hosts": ["api"],
                "http": [{"route": [{"destination": {"host": "api"}}], "timeout": 5}],
            },
            "it.yaml[0]: spec.http[0].timeout: expected a duration such as 1.5s or 2h30m, found 5",
        ),
        (
            "VirtualService",
            {"hosts": ["api"], "http": [{"match": [{"uri": {"exact": "/", "prefix": "/"}}]}]},
            "it.yaml[0]: spec.http[0].match[0].uri: "
            "expected one of exact, prefix, regex, found several",
        ),
        (
            "VirtualService",
            {"hosts": ["api"], "http": [{"match": [{"uri": {"regex": "*"}}]}]},
            "it.yaml[0]: spec.http[0].match[0]: "
            "uri.regex: expected a regular expression such as .*, found '*'",
        ),
        (
            "VirtualService",
            {"http": []},
            "it.yaml[0]: spec.hosts: is required",
        ),
        (
            "DestinationRule",
            {"host": "api", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}},
            "it.yaml[0]: spec.trafficPolicy.tls.mode: "
            "expected one of DISABLE, ISTIO_MUTUAL, found 'SIMPLE'",
        ),
        (
            "AuthorizationPolicy",
            {"rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]},
            "it.yaml[0]: spec.rules[0].from[0].source.requestPrincipals: is not supported yet",
        ),
        (
            "AuthorizationPolicy",
            {"rules": [{"to": [{"operation": {"ports": ["http"]}}]}]},
            "it.yaml[0]: spec.rules[0].to[0].operation: ports: expected 0 to 65535, found 'http'",
        ),
        (
            "AuthorizationPolicy",
            {"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/33"]}}]}]},
            "it.yaml[0]: spec.rules[0].from[0].source.ipBlocks[0]: "
            "expected an address or a block such as 10.1.0.0/16, found '10.0.0.0/33'",
        ),
        (
            "PeerAuthentication",
            {"portLevelMtls": {"http": {"mode": "STRICT"}}},
            "it.yaml[0]: spec.portLevelMtls: expected integers as keys, found 'http'",
        ),
        (
            "MeshConfig",
            {"accessLogFile": True},
            "it.yaml[0]: data.mesh.accessLogFile: expected a string, found True",
        ),
    ],
)
def test_problems_name_place_found_and_expected(
    kind: str, spec: dict[str, Any], expected: str
) -> None:
    assert problems(document(kind, spec)) == [expected]


@pytest.mark.parametrize(
    ("pattern", "right"),
    [
        ("/v[0-9]+/.*", True),
        (r"\p{Greek}[[:alpha:]]+\z", True),
        (r"a\(?=b", True),
        (r"\\1", True),
        ("(unclosed", False),
        ("(?=ahead)", False),
        ("(?<!behind)", False),
        (r"(a)\1", False),
        ("+", False),
    ],
)
def test_patterns_that_envoy_would_refuse_are_problems(pattern: str, right: bool) -> None:
    match = [{"headers": {"x": {"regex": "*"}}, "uri": {"regex": pattern}}]
    http = [{"match": match, "route": [{"destination": {"host": "api"}}]}]
    found = problems(document("VirtualService", {"hosts": ["api"], "http": http}))
    place = "it.yaml[0]: spec.http[0].match[0].uri.regex"
    expected = f"{place}: expected a regular expression of RE2's syntax, found {pattern!r}"
    assert found == ([] if right else [expected])


def test_kinds_of_others_are_not_looked_at() -> None:
    assert problems(document("Service", {"ports": 7})) == []


def test_a_bad_value_that_got_through_is_refused_whole() -> None:
    bad = document("PeerAuthentication", {"mtls": {"mode": "ON"}})
    with pytest.raises(ConfigError, match=r"it\.yaml\[0\]: spec\.mtls\.mode: expected one of"):
        translated("PeerAuthentication", [*DOCUMENTS, bad])
