# SPDX-License-Identifier: Apache-2.0
"""ConfigMap ``istio``: the mesh's settings (data.mesh) and networks (data.meshNetworks)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import CLIENT_TLS, KEEPALIVE, LOCALITY_LB, RETRIES, STRINGS
from mesh_control.objects.kinds.kind import CORE, ObjectKind, advice, not_yet
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import (
    ANY,
    BOOL,
    DNS_LABEL,
    DURATION_OR_ZERO,
    IP_OR_CIDR,
    NON_EMPTY,
    PORT,
    STRING,
    is_ip,
)
from mesh_control.objects.types import Choice, ListOf, MapOf, Message, Type, YamlText

_TRAFFIC_MODE = Choice(("REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"))
_TLS = Message(
    {
        "minProtocolVersion": Choice(("TLS_AUTO", "TLSV1_2", "TLSV1_3")),
        "ecdhCurves": STRINGS,
        "cipherSuites": STRINGS,
    }
)
# Known to Istio; their inside is looked into when they get an effect here.
_MESH: dict[str, Type] = {
    "ca": ANY,
    "caCertificates": ANY,
    "certificates": ANY,
    "configSources": ANY,
    "defaultConfig": ANY,
    "defaultProviders": ANY,
    "defaultTrafficPolicy": ANY,
    "discoverySelectors": ANY,
    "extensionProviders": ANY,
    "pathNormalization": ANY,
    "serviceEntryVisibility": ANY,
    "serviceScopeConfigs": ANY,
    "serviceSettings": ANY,
    "zoneAwareLbSetting": ANY,
}
_MESH |= {
    "accessLogEncoding": Choice(("TEXT", "JSON")),
    "accessLogFile": STRING,
    "accessLogFormat": STRING,
    "connectTimeout": DURATION_OR_ZERO,
    "defaultDestinationRuleExportTo": STRINGS,
    "defaultHttpRetryPolicy": RETRIES,
    "defaultServiceExportTo": STRINGS,
    "defaultVirtualServiceExportTo": STRINGS,
    "disableEnvoyListenerLog": BOOL,
    "dnsRefreshRate": DURATION_OR_ZERO,
    "enableAutoMtls": BOOL,
    "enableEnvoyAccessLogService": BOOL,
    "enablePrometheusMerge": BOOL,
    "enableTracing": BOOL,
    "h2UpgradePolicy": Choice(("DO_NOT_UPGRADE", "UPGRADE")),
    "hboneIdleTimeout": DURATION_OR_ZERO,
    "inboundClusterStatName": STRING,
    "inboundTrafficPolicy": Message({"mode": Choice(("PASSTHROUGH", "LOCALHOST"))}),
    "ingressClass": STRING,
    "ingressControllerMode": Choice(("UNSPECIFIED", "OFF", "DEFAULT", "STRICT")),
    "ingressSelector": STRING,
    "ingressService": STRING,
    "localityLbSetting": LOCALITY_LB,
    "meshMTLS": _TLS,
    "outboundClusterStatName": STRING,
    "outboundTrafficPolicy": Message({"mode": _TRAFFIC_MODE, "tls": CLIENT_TLS}),
    "protocolDetectionTimeout": DURATION_OR_ZERO,
    "proxyHttpPort": PORT,
    "proxyInboundListenPort": PORT,
    "proxyListenPort": PORT,
    "rootNamespace": DNS_LABEL,
    "tcpKeepalive": KEEPALIVE,
    "tlsDefaults": _TLS,
    "trustDomain": NON_EMPTY,
    "trustDomainAliases": STRINGS,
    "verifyCertificateAtClient": BOOL,
}
_NETWORKS = MapOf(
    Message(
        {
            "endpoints": ListOf(
                Message(
                    {"fromCidr": IP_OR_CIDR, "fromRegistry": NON_EMPTY},
                    one_of=(("fromCidr", "fromRegistry"),),
                )
            ),
            "gateways": ListOf(
                Message(
                    {
                        "address": NON_EMPTY,
                        "registryServiceName": NON_EMPTY,
                        "port": PORT,
                        "locality": STRING,
                    },
                    required=("port",),
                    one_of=(("address", "registryServiceName"),),
                )
            ),
        }
    )
)
_SCHEMA = Message(
    {
        "mesh": YamlText(Message(_MESH)),
        "meshNetworks": YamlText(Message({"networks": _NETWORKS})),
    }
)


def _rules(document: Document) -> Iterator[Finding]:
    if (document.namespace, document.name) != ("istio-system", "istio"):
        what = f"ConfigMap {document.namespace}/{document.name} (only istio-system/istio is read)"
        yield not_yet(("metadata", "name"), what)
        return
    content: Any = document.spec
    for name, network in content.get("meshNetworks", {}).get("networks", {}).items():
        path: Path = ("data", "meshNetworks", "networks", name)
        for index, gateway in enumerate(network.get("gateways", [])):
            address = gateway.get("address", "")
            if address and not is_ip(address):
                yield not_yet((*path, "gateways", index, "address"), f"host name {address!r}")
            elif address and ipaddress.ip_address(address).is_loopback:
                yield advice((*path, "gateways", index, "address"), f"{address} is no other host")
        if network.get("endpoints"):
            message = "has no effect on hosts: a workload's network is the one that it names itself"
            yield advice((*path, "endpoints"), message)


KIND = ObjectKind("ConfigMap", CORE, _SCHEMA, _rules, section="data")
