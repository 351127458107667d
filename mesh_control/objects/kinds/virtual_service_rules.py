# SPDX-License-Identifier: Apache-2.0
"""What the types of a VirtualService cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.kind import advice, invalid
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import is_ip

_RETRY_ON = frozenset(
    {
        "5xx",
        "cancelled",
        "connect-failure",
        "deadline-exceeded",
        "envoy-ratelimited",
        "gateway-error",
        "http3-post-connect-failure",
        "internal",
        "refused-stream",
        "reset",
        "reset-before-request",
        "resource-exhausted",
        "retriable-4xx",
        "retriable-headers",
        "retriable-status-codes",
        "unavailable",
    }
)


def rules(document: Document) -> Iterator[Finding]:
    """Check hosts, routes, weights, retries and SNI of a VirtualService."""
    spec: Any = document.spec
    hosts: list[str] = spec.get("hosts", [])
    if not hosts:
        yield invalid(("spec", "hosts"), "expected at least one host; delegates are not supported")
    for index, host in enumerate(hosts):
        if host == "*" and not [g for g in spec.get("gateways", []) if g != "mesh"]:
            yield invalid(("spec", "hosts", index), "'*' is allowed with a gateway only")
    if not any(spec.get(section) for section in ("http", "tls", "tcp")):
        yield invalid(("spec",), "expected http, tls or tcp routes, found none")
    for index, route in enumerate(spec.get("http", [])):
        yield from _http(route, ("spec", "http", index))
    for section in ("tls", "tcp"):
        for index, route in enumerate(spec.get(section, [])):
            path: Path = ("spec", section, index)
            yield from _weights(route["route"], (*path, "route"))
            for number, match in enumerate(route.get("match", [])):
                yield from _sni(match, hosts, (*path, "match", number))


def _http(route: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    if not any(route.get(name) for name in ("route", "redirect", "directResponse", "delegate")):
        yield invalid(path, "expected route, redirect, directResponse or delegate, found none")
    if "redirect" in route:
        for name in ("fault", "rewrite", "mirror", "timeout", "retries"):
            if name in route:
                yield invalid((*path, name), "has no effect together with redirect")
    yield from _weights(route.get("route", []), (*path, "route"))
    for number, match in enumerate(route.get("match", [])):
        for name in ("uri", "scheme", "method", "authority"):
            if match.get(name) == {}:
                message = "expected exact, prefix or regex, found none"
                yield invalid((*path, "match", number, name), message)
    retries = route.get("retries", {})
    attempts = retries.get("attempts")
    if attempts is not None and attempts < 0:
        yield invalid((*path, "retries", "attempts"), f"expected 0 or more, found {attempts}")
    if attempts == 0 and len(retries) > 1:
        message = "0 switches retries off: leave the other settings out"
        yield invalid((*path, "retries", "attempts"), message)
    for word in filter(None, retries.get("retryOn", "").split(",")):
        if word.strip() not in _RETRY_ON and not word.strip().isdecimal():
            message = f"unknown condition {word.strip()!r}; expected some of {_listed(_RETRY_ON)}"
            yield invalid((*path, "retries", "retryOn"), message)


def _weights(routes: list[Mapping[str, Any]], path: Path) -> Iterator[Finding]:
    """Weights are shares of their sum; one destination needs none."""
    if len(routes) < 2:
        return
    weights = [route.get("weight", 0) for route in routes]
    total = sum(weights)
    if total == 0:
        yield invalid(path, f"expected weights: {len(routes)} destinations have a sum of 0")
        return
    for index, route in enumerate(routes):
        if "weight" not in route:
            yield advice((*path, index), "has no weight and gets no traffic")
    if total != 100:
        shares = ", ".join(f"{100 * weight / total:.3g}%" for weight in weights)
        yield advice(path, f"the sum of the weights is {total}, not 100: the shares are {shares}")


def _sni(match: Mapping[str, Any], hosts: list[str], path: Path) -> Iterator[Finding]:
    for index, sni in enumerate(match.get("sniHosts", [])):
        if not is_ip(sni) and not any(_covers(host, sni) for host in hosts):
            message = f"{sni!r} is in none of spec.hosts ({', '.join(hosts)})"
            yield invalid((*path, "sniHosts", index), message)


def _covers(host: str, name: str) -> bool:
    return host in ("*", name) or (host.startswith("*.") and name.endswith(host[1:]))


def _listed(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
