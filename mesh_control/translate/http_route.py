# SPDX-License-Identifier: Apache-2.0
"""VirtualService.http -> Envoy's routes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import regex_pb2

from mesh_control.model import Proxy
from mesh_control.translate.api.virtual_service import (
    DirectResponse,
    HttpMatch,
    HttpRoute,
    HttpTarget,
    Redirect,
    Rewrite,
    VirtualService,
)
from mesh_control.translate.destinations import destination_cluster
from mesh_control.translate.fault import fault
from mesh_control.translate.filters import FAULT
from mesh_control.translate.headers import change_headers, new_authority
from mesh_control.translate.matchers import header, query_parameter, regex
from mesh_control.translate.mesh import Mesh, Named, selects
from mesh_control.translate.retries import retry_policy
from mesh_control.translate.wire import boolean, duration, pack, seconds, u32

_CODES: Final = {
    301: route_components_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_components_pb2.RedirectAction.FOUND,
    303: route_components_pb2.RedirectAction.SEE_OTHER,
    307: route_components_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_components_pb2.RedirectAction.PERMANENT_REDIRECT,
}


def routes_of(
    mesh: Mesh, proxy: Proxy, named: Named[VirtualService], port: int
) -> list[route_components_pb2.Route]:
    """Return what a VirtualService makes of requests from ``proxy`` to ``port``, in its order."""
    return list(_routes(mesh, proxy, named, port))


def default_route(cluster: str) -> route_components_pb2.Route:
    """Return the route of a service that no VirtualService speaks of."""
    action = route_components_pb2.RouteAction(cluster=cluster, retry_policy=retry_policy(None))
    _limit_time(action, None)
    return route_components_pb2.Route(
        name="default", match=route_components_pb2.RouteMatch(prefix="/"), route=action
    )


def _routes(
    mesh: Mesh, proxy: Proxy, named: Named[VirtualService], port: int
) -> Iterator[route_components_pb2.Route]:
    for http in named.spec.http:
        for match in http.match or (HttpMatch(),):
            if match.port in (0, port) and _comes_from(match, proxy):
                yield _route(mesh, named.namespace, http, match, port)


def _comes_from(match: HttpMatch, proxy: Proxy) -> bool:
    return selects(match.source_labels, proxy.labels) and match.source_namespace in (
        "",
        proxy.namespace,
    )


def _route(
    mesh: Mesh, namespace: str, http: HttpRoute, match: HttpMatch, port: int
) -> route_components_pb2.Route:
    name = f"{http.name}.{match.name}" if match.name else http.name
    route = route_components_pb2.Route(name=name, match=_match(match))
    if http.fault is not None:
        route.typed_per_filter_config[FAULT].CopyFrom(pack(fault(http.fault)))
    change_headers(route, http.headers)
    if http.redirect is not None:
        route.redirect.CopyFrom(_redirect(http.redirect))
    elif http.direct_response is not None:
        route.direct_response.CopyFrom(_direct_response(http.direct_response))
    else:
        _forward(mesh, namespace, http, port, route)
    return route


def _match(match: HttpMatch) -> route_components_pb2.RouteMatch:
    result = route_components_pb2.RouteMatch(case_sensitive=boolean(not match.ignore_uri_case))
    if match.uri is not None and match.uri.exact is not None:
        result.path = match.uri.exact
    elif match.uri is not None and match.uri.regex is not None:
        result.safe_regex.CopyFrom(regex(match.uri.regex))
    else:
        result.prefix = (match.uri.prefix if match.uri else None) or "/"
    result.headers.extend(header(n, m) for n, m in sorted(match.headers.items()))
    for name, value in sorted(match.without_headers.items()):
        without = header(name, value)
        without.invert_match = True
        without.treat_missing_header_as_empty = not without.present_match
        result.headers.append(without)
    pseudo = {":method": match.method, ":authority": match.authority, ":scheme": match.scheme}
    result.headers.extend(header(n, m) for n, m in pseudo.items() if m is not None)
    result.query_parameters.extend(
        query_parameter(n, m) for n, m in sorted(match.query_params.items())
    )
    return result


def _forward(
    mesh: Mesh, namespace: str, http: HttpRoute, port: int, route: route_components_pb2.Route
) -> None:
    action = route_components_pb2.RouteAction(retry_policy=retry_policy(http.retries))
    _limit_time(action, http.timeout)
    authority = new_authority(http.headers)
    if http.rewrite is not None:
        _rewrite(http.rewrite, action)
        authority = http.rewrite.authority or authority
    if len(http.route) == 1:
        (target,) = http.route
        action.cluster = destination_cluster(mesh, namespace, target.destination, port)
        change_headers(route, target.headers)
        authority = authority or new_authority(target.headers)
    else:
        for target in http.route:
            if target.weight:
                action.weighted_clusters.clusters.append(_share(mesh, namespace, target, port))
    if authority:
        action.host_rewrite_literal = authority
    route.route.CopyFrom(action)


def _share(
    mesh: Mesh, namespace: str, target: HttpTarget, port: int
) -> route_components_pb2.WeightedCluster.ClusterWeight:
    result = route_components_pb2.WeightedCluster.ClusterWeight(
        name=destination_cluster(mesh, namespace, target.destination, port),
        weight=u32(target.weight),
    )
    change_headers(result, target.headers)
    if authority := new_authority(target.headers):
        result.host_rewrite_literal = authority
    return result


def _limit_time(action: route_components_pb2.RouteAction, timeout: timedelta | None) -> None:
    """No limit unless one is given; a gRPC client's own deadline holds up to it."""
    limit = duration(timeout) if timeout is not None else seconds(0)
    action.timeout.CopyFrom(limit)
    action.max_stream_duration.grpc_timeout_header_max.CopyFrom(limit)


def _rewrite(rewrite: Rewrite, action: route_components_pb2.RouteAction) -> None:
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.CopyFrom(
            regex_pb2.RegexMatchAndSubstitute(
                pattern=regex(rewrite.uri_regex_rewrite.match),
                substitution=rewrite.uri_regex_rewrite.rewrite,
            )
        )
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri


def _redirect(redirect: Redirect) -> route_components_pb2.RedirectAction:
    result = route_components_pb2.RedirectAction(
        host_redirect=redirect.authority,
        port_redirect=redirect.port,
        response_code=_CODES[redirect.redirect_code],
    )
    if redirect.uri:
        result.path_redirect = redirect.uri
    if redirect.scheme:
        result.scheme_redirect = redirect.scheme
    return result


def _direct_response(response: DirectResponse) -> route_components_pb2.DirectResponseAction:
    result = route_components_pb2.DirectResponseAction(status=response.status)
    if response.body is not None:
        result.body.CopyFrom(base_pb2.DataSource(inline_string=response.body.string))
    return result
