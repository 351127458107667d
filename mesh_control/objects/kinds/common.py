# SPDX-License-Identifier: Apache-2.0
"""Types that several kinds share."""

from __future__ import annotations

from mesh_control.objects.scalars import (
    BOOL,
    COUNT,
    DNS_NAME,
    DURATION,
    HOST,
    INT32,
    LABEL_KEY,
    LABEL_VALUE,
    NON_EMPTY,
    PERCENT,
    PORT,
    STRING,
    is_dns_label,
)
from mesh_control.objects.types import Choice, ListOf, MapOf, Message, Text

STRINGS = ListOf(STRING)
LABELS = MapOf(LABEL_VALUE, key=LABEL_KEY)
EXPORT_TO = ListOf(
    Text("'.', '*', '~' or a namespace", lambda text: text in (".", "*", "~") or is_dns_label(text))
)

MATCH_LABELS = Message({"matchLabels": LABELS})  # type.v1beta1.WorkloadSelector
TARGET_REF = Message(
    {"group": STRING, "kind": NON_EMPTY, "name": DNS_NAME, "namespace": STRING},
    required=("kind", "name"),
)

STRING_MATCH = Message(
    {"exact": STRING, "prefix": NON_EMPTY, "regex": NON_EMPTY},
    one_of=(("exact", "prefix", "regex"),),
)
PORT_SELECTOR = Message({"number": PORT})
DESTINATION = Message({"host": HOST, "subset": STRING, "port": PORT_SELECTOR}, required=("host",))
PERCENTAGE = Message({"value": PERCENT})

KEEPALIVE = Message({"probes": COUNT, "time": DURATION, "interval": DURATION})
FAILOVER = ListOf(Message({"from": STRING, "to": STRING}))
LOCALITY_LB = Message(
    {
        "enabled": BOOL,
        "distribute": ListOf(Message({"from": STRING, "to": MapOf(COUNT)})),
        "failover": FAILOVER,
        "failoverPriority": STRINGS,
    },
    one_of=(("distribute", "failover"), ("distribute", "failoverPriority")),
)
CLIENT_TLS = Message(
    {
        "mode": Choice(("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")),
        "clientCertificate": STRING,
        "privateKey": STRING,
        "caCertificates": STRING,
        "caCrl": STRING,
        "credentialName": STRING,
        "subjectAltNames": STRINGS,
        "sni": STRING,
        "insecureSkipVerify": BOOL,
    }
)
RETRIES = Message(
    {
        "attempts": INT32,
        "backoff": DURATION,
        "perTryTimeout": DURATION,
        "retryOn": STRING,
        "retryRemoteLocalities": BOOL,
        "retryIgnorePreviousHosts": BOOL,
    }
)
