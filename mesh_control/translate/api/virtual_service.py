# SPDX-License-Identifier: Apache-2.0
"""networking.istio.io VirtualService."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from mesh_control.translate.api.values import ExportTo, Regex


@dataclass(frozen=True, slots=True)
class StringMatch:
    """One of exact, prefix, regex; none of them, or the regex ``*``: the thing is present."""

    exact: str | None = None
    prefix: str | None = None
    regex: Regex | None = None

    def __post_init__(self) -> None:
        if sum(v is not None for v in (self.exact, self.prefix, self.regex)) > 1:
            raise ValueError("expected one of exact, prefix, regex, found several")


@dataclass(frozen=True, slots=True)
class Port:
    number: int


@dataclass(frozen=True, slots=True)
class Destination:
    host: str
    subset: str = ""
    port: Port | None = None


@dataclass(frozen=True, slots=True)
class HeaderOperations:
    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Headers:
    request: HeaderOperations = HeaderOperations()
    response: HeaderOperations = HeaderOperations()


@dataclass(frozen=True, slots=True)
class Target:
    """A weighted destination of a TCP or TLS route."""

    destination: Destination
    weight: int = 0


@dataclass(frozen=True, slots=True)
class HttpTarget:
    destination: Destination
    weight: int = 0
    headers: Headers = Headers()


@dataclass(frozen=True, slots=True)
class HttpMatch:
    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = field(default_factory=dict)
    without_headers: Mapping[str, StringMatch] = field(default_factory=dict)
    query_params: Mapping[str, StringMatch] = field(default_factory=dict)
    ignore_uri_case: bool = False
    port: int = 0
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""

    def __post_init__(self) -> None:
        if self.uri is not None and self.uri.regex == "*":
            raise ValueError("uri.regex: expected a regular expression such as .*, found '*'")


@dataclass(frozen=True, slots=True)
class Redirect:
    uri: str = ""
    authority: str = ""
    scheme: str = ""
    port: int = 0
    redirect_code: int = 301

    def __post_init__(self) -> None:
        if self.redirect_code not in (301, 302, 303, 307, 308):
            raise ValueError(
                f"redirectCode: expected 301, 302, 303, 307 or 308, found {self.redirect_code}"
            )


@dataclass(frozen=True, slots=True)
class Body:
    string: str = ""


@dataclass(frozen=True, slots=True)
class DirectResponse:
    status: int
    body: Body | None = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"status: expected 200 to 599, found {self.status}")


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    match: Regex
    rewrite: str


@dataclass(frozen=True, slots=True)
class Rewrite:
    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


@dataclass(frozen=True, slots=True)
class Retries:
    attempts: int = 0
    per_try_timeout: timedelta | None = None
    retry_on: str = ""
    retry_ignore_previous_hosts: bool = True
    backoff: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Percent:
    value: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.value <= 100:
            raise ValueError(f"value: expected 0 to 100, found {self.value}")


@dataclass(frozen=True, slots=True)
class Delay:
    """Without a percentage it is not injected at all, as in Istio."""

    fixed_delay: timedelta
    percentage: Percent = Percent()


@dataclass(frozen=True, slots=True)
class Abort:
    """Without a percentage it is not injected at all, as in Istio."""

    http_status: int
    percentage: Percent = Percent()

    def __post_init__(self) -> None:
        if not 200 <= self.http_status <= 599:
            raise ValueError(f"httpStatus: expected 200 to 599, found {self.http_status}")


@dataclass(frozen=True, slots=True)
class Fault:
    delay: Delay | None = None
    abort: Abort | None = None


@dataclass(frozen=True, slots=True)
class HttpRoute:
    name: str = ""
    match: tuple[HttpMatch, ...] = ()
    route: tuple[HttpTarget, ...] = ()
    redirect: Redirect | None = None
    direct_response: DirectResponse | None = None
    rewrite: Rewrite | None = None
    timeout: timedelta | None = None
    retries: Retries | None = None
    fault: Fault | None = None
    headers: Headers = Headers()

    def __post_init__(self) -> None:
        given = [n for n in ("route", "redirect", "direct_response") if getattr(self, n)]
        if len(given) != 1:
            raise ValueError(f"expected one of route, redirect, directResponse, found {len(given)}")
        _expect_weights(self.route)


@dataclass(frozen=True, slots=True)
class TlsMatch:
    sni_hosts: tuple[str, ...]
    port: int = 0
    gateways: tuple[str, ...] = ()
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""


@dataclass(frozen=True, slots=True)
class TlsRoute:
    match: tuple[TlsMatch, ...]
    route: tuple[Target, ...]

    def __post_init__(self) -> None:
        _expect_weights(self.route)


@dataclass(frozen=True, slots=True)
class TcpMatch:
    port: int = 0
    source_labels: Mapping[str, str] = field(default_factory=dict)
    source_namespace: str = ""


@dataclass(frozen=True, slots=True)
class TcpRoute:
    route: tuple[Target, ...]
    match: tuple[TcpMatch, ...] = ()

    def __post_init__(self) -> None:
        _expect_weights(self.route)


@dataclass(frozen=True, slots=True)
class VirtualService:
    hosts: tuple[str, ...]
    gateways: tuple[str, ...] = ("mesh",)
    export_to: tuple[ExportTo, ...] = ()
    http: tuple[HttpRoute, ...] = ()
    tls: tuple[TlsRoute, ...] = ()
    tcp: tuple[TcpRoute, ...] = ()


def _expect_weights(targets: tuple[Target, ...] | tuple[HttpTarget, ...]) -> None:
    if any(t.weight < 0 for t in targets):
        raise ValueError("route: expected weights of 0 or more")
    if len(targets) > 1 and not any(t.weight for t in targets):
        raise ValueError("route: expected at least one destination with a weight above 0")
