# SPDX-License-Identifier: Apache-2.0
"""Gateway (networking.istio.io): its servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mesh_control.model import Document
from mesh_control.objects.kinds.common import LABELS, STRINGS
from mesh_control.objects.kinds.kind import NETWORKING, ObjectKind, advice, invalid, unique
from mesh_control.objects.problems import Finding, Path
from mesh_control.objects.scalars import BOOL, DNS_LABEL, PORT, STRING, is_dns_label, is_host
from mesh_control.objects.types import Choice, ListOf, Message, Text

_PROTOCOLS = ("HTTP", "HTTPS", "GRPC", "GRPC-WEB", "HTTP2", "MONGO", "TCP", "TLS", "MYSQL", "REDIS")
_TLS_VERSION = Choice(("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"))


def _is_server_host(text: str) -> bool:
    """``[NAMESPACE/]HOST``, where the namespace may be ``*`` or ``.``."""
    namespace, slash, host = text.rpartition("/")
    return is_host(host) and (not slash or namespace in ("*", ".") or is_dns_label(namespace))


_SERVER = Message(
    {
        "port": Message(
            {
                "number": PORT,
                "protocol": Text(
                    f"one of {', '.join(_PROTOCOLS)}", lambda text: text.upper() in _PROTOCOLS
                ),
                "name": DNS_LABEL,
                "targetPort": PORT,
            },
            required=("number", "protocol", "name"),
        ),
        "hosts": ListOf(Text("[NAMESPACE/]HOST, '*' or '*.DOMAIN'", _is_server_host), at_least=1),
        "name": STRING,
        "bind": STRING,
        "defaultEndpoint": STRING,
        "tls": Message(
            {
                "mode": Choice(
                    (
                        "PASSTHROUGH",
                        "SIMPLE",
                        "MUTUAL",
                        "AUTO_PASSTHROUGH",
                        "ISTIO_MUTUAL",
                        "OPTIONAL_MUTUAL",
                    )
                ),
                "httpsRedirect": BOOL,
                "serverCertificate": STRING,
                "privateKey": STRING,
                "caCertificates": STRING,
                "caCrl": STRING,
                "caCertCredentialName": STRING,
                "credentialName": STRING,
                "credentialNames": ListOf(STRING, at_least=1, at_most=2),
                "tlsCertificates": ListOf(
                    Message(
                        {
                            "serverCertificate": STRING,
                            "privateKey": STRING,
                            "caCertificates": STRING,
                        }
                    ),
                    at_least=1,
                    at_most=2,
                ),
                "subjectAltNames": STRINGS,
                "verifyCertificateSpki": STRINGS,
                "verifyCertificateHash": STRINGS,
                "minProtocolVersion": _TLS_VERSION,
                "maxProtocolVersion": _TLS_VERSION,
                "cipherSuites": STRINGS,
                "insecureSkipVerify": BOOL,
            },
            one_of=(("credentialName", "credentialNames", "tlsCertificates"),),
        ),
    },
    required=("port", "hosts"),
)
_SCHEMA = Message(
    {"selector": LABELS, "servers": ListOf(_SERVER, at_least=1)}, required=("servers",)
)


def _rules(document: Document) -> Iterator[Finding]:
    spec: Any = document.spec
    servers = spec["servers"]
    if not spec.get("selector"):
        yield advice(("spec", "selector"), "none given: every gateway of the mesh serves it")
    yield from unique(
        (
            (server["port"]["name"], ("spec", "servers", index, "port", "name"))
            for index, server in enumerate(servers)
        ),
        "port name",
    )
    for index, server in enumerate(servers):
        yield from _server(server, ("spec", "servers", index))


def _server(server: Mapping[str, Any], path: Path) -> Iterator[Finding]:
    protocol, tls = server["port"]["protocol"], server.get("tls")
    if "targetPort" in server["port"]:
        yield invalid((*path, "port", "targetPort"), "is not allowed in a Gateway")
    if tls is None:
        if protocol in ("HTTPS", "TLS"):
            yield invalid((*path, "tls"), f"is required with protocol {protocol}")
        return
    mode = tls.get("mode", "PASSTHROUGH")
    if protocol in ("HTTP", "GRPC", "HTTP2") and set(tls) - {"httpsRedirect"}:
        message = f"expected protocol HTTPS or TLS for a server with tls, found {protocol}"
        yield invalid((*path, "port", "protocol"), message)
    if mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
        for name in ("serverCertificate", "privateKey", "caCertificates", "credentialName"):
            if tls.get(name):
                yield advice((*path, "tls", name), f"has no effect with mode {mode}")
    elif mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL") and not (
        {"credentialName", "credentialNames", "tlsCertificates"} & set(tls)
    ):
        for name in ("serverCertificate", "privateKey"):
            if not tls.get(name):
                yield invalid((*path, "tls", name), f"is required with mode {mode}")


def _normal(spec: Any) -> Any:
    """Write protocols in capitals: ``tls`` stands in many examples."""

    def server(item: Mapping[str, Any]) -> dict[str, Any]:
        port = item["port"]
        return {**item, "port": {**port, "protocol": port["protocol"].upper()}}

    return {**spec, "servers": [server(item) for item in spec["servers"]]}


KIND = ObjectKind("Gateway", NETWORKING, _SCHEMA, _rules, _normal)
