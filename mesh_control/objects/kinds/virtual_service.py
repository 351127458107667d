# SPDX-License-Identifier: Apache-2.0
"""VirtualService: its fields."""

from __future__ import annotations

from mesh_control.objects.kinds.common import (
    DESTINATION,
    EXPORT_TO,
    LABELS,
    PERCENTAGE,
    RETRIES,
    STRING_MATCH,
    STRINGS,
)
from mesh_control.objects.kinds.kind import NETWORKING, ObjectKind
from mesh_control.objects.kinds.virtual_service_rules import rules
from mesh_control.objects.scalars import (
    BOOL,
    DNS_LABEL,
    DNS_NAME,
    DURATION,
    HEADER,
    HOST,
    HTTP_STATUS,
    IP_OR_CIDR,
    NON_EMPTY,
    PERCENT_INT,
    PORT,
    STRING,
    is_host,
)
from mesh_control.objects.types import Choice, ListOf, MapOf, Message, Number, Text, Type

_MATCHES = MapOf(STRING_MATCH, key=HEADER)
_GATEWAYS = ListOf(
    Text(
        "a Gateway as NAME or NAMESPACE/NAME, or mesh",
        lambda text: text.count("/") <= 1 and all(is_host(part) for part in text.split("/")),
    )
)
_HEADER_OPERATIONS = Message(
    {"set": MapOf(STRING, key=HEADER), "add": MapOf(STRING, key=HEADER), "remove": ListOf(HEADER)}
)
_HEADERS = Message({"request": _HEADER_OPERATIONS, "response": _HEADER_OPERATIONS})
_WEIGHT = Number(0, 2147483647)
_ROUTE = Message({"destination": DESTINATION, "weight": _WEIGHT}, required=("destination",))
_L4_MATCH: dict[str, Type] = {
    "destinationSubnets": ListOf(IP_OR_CIDR),
    "port": PORT,
    "sourceLabels": LABELS,
    "sourceNamespace": DNS_LABEL,
    "gateways": _GATEWAYS,
}

_HTTP_MATCH = Message(
    {
        "name": STRING,
        "uri": STRING_MATCH,
        "scheme": STRING_MATCH,
        "method": STRING_MATCH,
        "authority": STRING_MATCH,
        "headers": _MATCHES,
        "withoutHeaders": _MATCHES,
        "queryParams": MapOf(STRING_MATCH),
        "ignoreUriCase": BOOL,
        "port": PORT,
        "sourceLabels": LABELS,
        "sourceNamespace": DNS_LABEL,
        "gateways": _GATEWAYS,
        "statPrefix": STRING,
    }
)
_FAULT = Message(
    {
        "delay": Message(
            {
                "fixedDelay": DURATION,
                "exponentialDelay": DURATION,
                "percent": PERCENT_INT,
                "percentage": PERCENTAGE,
            },
            one_of=(("fixedDelay", "exponentialDelay"),),
        ),
        "abort": Message(
            {
                "httpStatus": HTTP_STATUS,
                "grpcStatus": STRING,
                "http2Error": STRING,
                "percentage": PERCENTAGE,
            },
            one_of=(("httpStatus", "grpcStatus", "http2Error"),),
        ),
    }
)
_HTTP_ROUTE = Message(
    {
        "name": STRING,
        "match": ListOf(_HTTP_MATCH),
        "route": ListOf(
            Message(
                {"destination": DESTINATION, "weight": _WEIGHT, "headers": _HEADERS},
                required=("destination",),
            )
        ),
        "redirect": Message(
            {
                "uri": STRING,
                "prefixRewrite": STRING,
                "authority": STRING,
                "scheme": STRING,
                "port": PORT,
                "derivePort": Choice(("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
                "redirectCode": Number(300, 399, label="an HTTP status (300 to 399)"),
            },
            one_of=(("port", "derivePort"), ("uri", "prefixRewrite")),
        ),
        "directResponse": Message(
            {
                "status": HTTP_STATUS,
                "body": Message({"string": STRING, "bytes": STRING}, one_of=(("string", "bytes"),)),
            },
            required=("status",),
        ),
        "delegate": Message({"name": DNS_NAME, "namespace": DNS_LABEL}),
        "rewrite": Message(
            {
                "uri": STRING,
                "authority": STRING,
                "uriRegexRewrite": Message({"match": NON_EMPTY, "rewrite": STRING}),
            },
            one_of=(("uri", "uriRegexRewrite"),),
        ),
        "timeout": DURATION,
        "retries": RETRIES,
        "fault": _FAULT,
        "mirror": DESTINATION,
        "mirrors": ListOf(
            Message(
                {"destination": DESTINATION, "percentage": PERCENTAGE}, required=("destination",)
            )
        ),
        "mirrorPercent": PERCENT_INT,
        "mirror_percent": PERCENT_INT,
        "mirrorPercentage": PERCENTAGE,
        "corsPolicy": Message(
            {
                "allowOrigin": STRINGS,
                "allowOrigins": ListOf(STRING_MATCH),
                "allowMethods": STRINGS,
                "allowHeaders": STRINGS,
                "exposeHeaders": STRINGS,
                "maxAge": DURATION,
                "allowCredentials": BOOL,
                "unmatchedPreflights": Choice(("UNSPECIFIED", "FORWARD", "IGNORE")),
            }
        ),
        "headers": _HEADERS,
    },
    one_of=(("route", "redirect", "directResponse", "delegate"), ("mirror", "mirrors")),
)
_SCHEMA = Message(
    {
        "hosts": ListOf(HOST),
        "gateways": _GATEWAYS,
        "exportTo": EXPORT_TO,
        "http": ListOf(_HTTP_ROUTE),
        "tls": ListOf(
            Message(
                {
                    "match": ListOf(
                        Message(
                            {"sniHosts": ListOf(HOST, at_least=1), **_L4_MATCH},
                            required=("sniHosts",),
                        ),
                        at_least=1,
                    ),
                    "route": ListOf(_ROUTE, at_least=1),
                },
                required=("match", "route"),
            )
        ),
        "tcp": ListOf(
            Message(
                {
                    "match": ListOf(Message({**_L4_MATCH, "sourceSubnet": IP_OR_CIDR})),
                    "route": ListOf(_ROUTE, at_least=1),
                },
                required=("route",),
            )
        ),
    }
)

KIND = ObjectKind("VirtualService", NETWORKING, _SCHEMA, rules)
