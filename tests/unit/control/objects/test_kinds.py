# SPDX-License-Identifier: Apache-2.0
"""The rules of each kind: one right document of many fields, and what spoils it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mesh_control.objects.load import load

WIDE = {
    document["metadata"]["name"] + " " + document["kind"]: document
    for document in yaml.safe_load_all((Path(__file__).parent / "wide.yaml").read_text())
}
REMOVED = object()

Sets = Mapping[str, frozenset[str]]


def spoil(name: str, path: str, value: object) -> dict[str, Any]:
    """Return a wide document in which the value at a dotted path is another one."""
    document: Any = yaml.safe_load(yaml.safe_dump(WIDE[name]))
    *steps, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    node = document
    for step in steps:
        node = node[step]
    if value is REMOVED:
        del node[last]
    else:
        node[last] = value
    result: dict[str, Any] = document
    return result


@pytest.fixture
def says(everything: Sets) -> Callable[[dict[str, Any]], list[str]]:
    """The problems of one document: severity and what follows its name."""

    def run(document: dict[str, Any]) -> list[str]:
        loaded = load({"x.yaml": yaml.safe_dump(document)}, everything)
        return [f"{p.severity} {p.path}: {p.message}".replace(" :", "") for p in loaded.problems]

    return run


def test_the_wide_documents_are_right(everything: Sets) -> None:
    for name, document in WIDE.items():
        loaded = load({"x.yaml": yaml.safe_dump(document)}, everything)
        errors = [str(p) for p in loaded.problems if p.severity == "error"]
        assert errors == [], name


VS, DR, GW = "wide VirtualService", "wide DestinationRule", "edge Gateway"
SE, WE, WG = "wide ServiceEntry", "vm WorkloadEntry", "vm WorkloadGroup"
PA, AP = "wide PeerAuthentication", "wide AuthorizationPolicy"
SVC, CM = "wide Service", "istio ConfigMap"
DURATION = "expected a duration of at least 1ms, such as 1.5s, 250ms or 1m30s, found"
HTTP = "spec.http.0"
ROUTES = [{"destination": {"host": "a"}}, {"destination": {"host": "b"}}]
NO_MATCH = "expected only one of exact, prefix, regex, found exact and prefix"
FQ = "cluster.local/ns/shop/sa/web"


@pytest.mark.parametrize(
    ("name", "path", "value", "expected"),
    [
        # VirtualService
        (VS, f"{HTTP}.timeout", "5 minutes", f"error spec.http[0].timeout: {DURATION} '5 minutes'"),
        (VS, f"{HTTP}.timeout", "0s", f"error spec.http[0].timeout: {DURATION} '0s'"),
        (VS, f"{HTTP}.timeout", 5, f"error spec.http[0].timeout: {DURATION} 5; put it in quotes"),
        (
            VS,
            f"{HTTP}.route",
            ROUTES,
            "error spec.http[0].route: expected weights: 2 destinations have a sum of 0",
        ),
        (
            VS,
            f"{HTTP}.route.0.weight",
            -1,
            "error spec.http[0].route[0].weight: expected an integer from 0 to 2147483647, "
            "found -1",
        ),
        (
            VS,
            f"{HTTP}.route.0.weight",
            "75",
            "error spec.http[0].route[0].weight: expected an integer, found '75'; "
            "write it without quotes",
        ),
        (
            VS,
            f"{HTTP}.match.0.uri",
            {"exact": "/", "prefix": "/a"},
            f"error spec.http[0].match[0].uri: {NO_MATCH}",
        ),
        (
            VS,
            f"{HTTP}.match.0.uri",
            {},
            "error spec.http[0].match[0].uri: expected exact, prefix or regex, found none",
        ),
        (
            VS,
            f"{HTTP}.redirect",
            {"uri": "/"},
            "error spec.http[0]: expected only one of route, redirect, directResponse, delegate, "
            "found route and redirect",
        ),
        (
            VS,
            f"{HTTP}.retries.attempts",
            0,
            "error spec.http[0].retries.attempts: 0 switches retries off: "
            "leave the other settings out",
        ),
        (
            VS,
            f"{HTTP}.fault.abort.httpStatus",
            99,
            "error spec.http[0].fault.abort.httpStatus: expected an HTTP status (200 to 599), "
            "found 99",
        ),
        (
            VS,
            "spec.hosts",
            [],
            "error spec.hosts: expected at least one host; delegates are not supported",
        ),
        (
            VS,
            "spec.hosts.0",
            "a_b c",
            "error spec.hosts[0]: expected a host name, '*' or '*.DOMAIN', found 'a_b c'",
        ),
        (
            VS,
            "spec",
            {"hosts": ["*"], "tcp": [{"route": ROUTES[:1]}]},
            "error spec.hosts[0]: '*' is allowed with a gateway only",
        ),
        (
            VS,
            "spec",
            {"hosts": ["api"]},
            "error spec: expected http, tls or tcp routes, found none",
        ),
        (
            VS,
            "spec.tls.0.match.0.sniHosts.0",
            "other.org",
            "error spec.tls[0].match[0].sniHosts[0]: 'other.org' is in none of spec.hosts "
            "(api.shop.svc.cluster.local, *.example.org)",
        ),
        (
            VS,
            "spec.tls.0.match.0.destinationSubnets.0",
            "10.0.0.0/33",
            "error spec.tls[0].match[0].destinationSubnets[0]: "
            "expected an IP address or CIDR, found '10.0.0.0/33'",
        ),
        # DestinationRule
        (DR, "spec.host", REMOVED, "error spec.host: is required"),
        (
            DR,
            "spec.trafficPolicy.portLevelSettings.0.loadBalancer.simple",
            "ROUNDROBIN",
            "error spec.trafficPolicy.portLevelSettings[0].loadBalancer.simple: expected one of "
            "UNSPECIFIED, LEAST_CONN, RANDOM, PASSTHROUGH, ROUND_ROBIN, LEAST_REQUEST, "
            "found 'ROUNDROBIN'; did you mean ROUND_ROBIN?",
        ),
        (
            DR,
            "spec.trafficPolicy.outlierDetection.maxEjectionPercent",
            101,
            "error spec.trafficPolicy.outlierDetection.maxEjectionPercent: "
            "expected a percentage (0 to 100), found 101",
        ),
        (
            DR,
            "spec.subsets",
            [{"name": "v1", "labels": {"a": "b"}}] * 2,
            "error spec.subsets[1].name: subset 'v1' is given twice",
        ),
        (
            DR,
            "spec.trafficPolicy.portLevelSettings.0.tls.privateKey",
            REMOVED,
            "error spec.trafficPolicy.portLevelSettings[0].tls.privateKey: "
            "is required with mode MUTUAL",
        ),
        (
            DR,
            "spec.trafficPolicy.tls.caCertificates",
            "/x",
            "error spec.trafficPolicy.tls.caCertificates: must be left out with mode "
            "ISTIO_MUTUAL: the mesh's identity is used",
        ),
        (
            DR,
            "spec.trafficPolicy.loadBalancer.consistentHash",
            {"maglev": {}},
            "error spec.trafficPolicy.loadBalancer.consistentHash: expected one of httpHeaderName, "
            "httpCookie, useSourceIp, httpQueryParameterName, found none",
        ),
        # Gateway
        (
            GW,
            "spec.servers",
            [],
            "error spec.servers: expected at least 1 item, found 0",
        ),
        (
            GW,
            "spec.servers.0.tls",
            REMOVED,
            "error spec.servers[0].tls: is required with protocol HTTPS",
        ),
        (
            GW,
            "spec.servers.0.port.protocol",
            "TSL",
            "error spec.servers[0].port.protocol: expected one of HTTP, HTTPS, GRPC, GRPC-WEB, "
            "HTTP2, MONGO, TCP, TLS, MYSQL, REDIS, found 'TSL'",
        ),
        (
            GW,
            "spec.servers.0.tls.credentialName",
            REMOVED,
            "error spec.servers[0].tls.serverCertificate: is required with mode SIMPLE",
        ),
        (
            GW,
            "spec.servers.1.port.name",
            "https",
            "error spec.servers[1].port.name: port name 'https' is given twice",
        ),
        (
            GW,
            "spec.servers.0.port.targetPort",
            8443,
            "error spec.servers[0].port.targetPort: is not allowed in a Gateway",
        ),
        (
            GW,
            "spec.servers.0.hosts.0",
            "a/b/c",
            "error spec.servers[0].hosts[0]: expected [NAMESPACE/]HOST, '*' or '*.DOMAIN', "
            "found 'a/b/c'",
        ),
        (
            GW,
            "spec.servers.1.tls.mode",
            "SIMPLE",
            "error spec.servers[1].port.protocol: expected protocol HTTPS or TLS for a server "
            "with tls, found HTTP",
        ),
        # ServiceEntry
        (
            SE,
            "spec.hosts.0",
            "*",
            "error spec.hosts[0]: expected a host name or '*.DOMAIN', found '*'",
        ),
        (
            SE,
            "spec.addresses.0",
            "10.0.0.0/8",
            "error not supported yet: spec.addresses[0]: CIDR '10.0.0.0/8' in x.yaml",
        ),
        (
            SE,
            "spec.addresses.0",
            "10.0.0.300",
            "error spec.addresses[0]: expected an IP address or CIDR, found '10.0.0.300'",
        ),
        (
            SE,
            "spec.resolution",
            "NONE",
            "error spec.endpoints: must be left out with resolution NONE",
        ),
        (
            SE,
            "spec.resolution",
            "DYNAMIC_DNS",
            "error not supported yet: spec.resolution: 'DYNAMIC_DNS' (supported: DNS, NONE, "
            "STATIC) in x.yaml",
        ),
        (
            SE,
            "spec.exportTo.0",
            ".",
            "error not supported yet: spec.exportTo[0]: '.' (supported: *) in x.yaml",
        ),
        (
            SE,
            "spec.endpoints.0.address",
            "pay.example.org",
            "error spec.endpoints[0].address: expected an IP address with resolution STATIC, "
            "found 'pay.example.org'",
        ),
        (
            SE,
            "spec.endpoints.0.ports",
            {"https": 1},
            "error spec.endpoints[0].ports.https: expected the name of one of spec.ports (tls), "
            "found 'https'",
        ),
        (
            SE,
            "spec.workloadSelector",
            {"labels": {"a": "b"}},
            "error spec: expected only one of endpoints, workloadSelector, "
            "found endpoints and workloadSelector",
        ),
        (
            SE,
            "spec.ports",
            [{"number": 1, "name": "a"}, {"number": 1, "name": "tls"}],
            "error spec.ports[1].number: port 1 is given twice",
        ),
        (
            "selecting ServiceEntry",
            "spec.hosts.0",
            "*.example.org",
            "error spec.hosts[0]: '*.example.org' cannot be resolved: "
            "give endpoints, or resolution NONE",
        ),
        # WorkloadEntry and WorkloadGroup
        (
            WE,
            "spec.address",
            REMOVED,
            "error not supported yet: spec.address: left out, with a network in x.yaml",
        ),
        (WE, "spec", {}, "error spec.address: is required"),
        (
            WE,
            "spec.address",
            "10.0.0.300",
            "error spec.address: expected an IP address or a host name, found '10.0.0.300'",
        ),
        (
            WE,
            "spec.address",
            "unix:///run/app",
            "error not supported yet: spec.address: 'unix:///run/app' in x.yaml",
        ),
        (
            WE,
            "spec.ports",
            {"http": 0},
            "error spec.ports.http: expected a port (1 to 65535), found 0",
        ),
        (
            WE,
            "spec.locality",
            "a/b/c/d",
            "error spec.locality: expected REGION[/ZONE[/SUBZONE]], found 'a/b/c/d'",
        ),
        (WG, "spec.template", REMOVED, "error spec.template: is required"),
        (
            WG,
            "spec.template.address",
            "10.0.0.1",
            "error not supported yet: spec.template.address in x.yaml",
        ),
        (
            WG,
            "spec.probe",
            {"periodSeconds": 1},
            "error spec.probe: expected httpGet, tcpSocket, exec or grpc, found none",
        ),
        (
            WG,
            "spec.probe.tcpSocket",
            {"port": 1},
            "error spec.probe: expected only one of httpGet, tcpSocket, exec, grpc, "
            "found tcpSocket and exec",
        ),
        # PeerAuthentication
        (
            PA,
            "spec.mtls.mode",
            "strict",
            "error spec.mtls.mode: expected one of UNSET, DISABLE, PERMISSIVE, STRICT, "
            "found 'strict'; did you mean STRICT?",
        ),
        (
            PA,
            "spec.selector",
            REMOVED,
            "error spec.portLevelMtls: needs spec.selector.matchLabels: ports belong to workloads",
        ),
        (
            PA,
            "spec.portLevelMtls",
            {"http": {"mode": "STRICT"}},
            "error spec.portLevelMtls.http: expected a port (1 to 65535) as key, found 'http'",
        ),
        # AuthorizationPolicy
        (
            AP,
            "spec.rules",
            REMOVED,
            "error spec.rules: is required with action DENY: without rules the policy does nothing",
        ),
        (
            AP,
            "spec.rules.0.from.0.source",
            {},
            "error spec.rules[0].from[0].source: expected a field, found none",
        ),
        (
            AP,
            "spec.rules.0.from.0.source.ipBlocks.0",
            "10.0.0/8",
            "error spec.rules[0].from[0].source.ipBlocks[0]: expected an IP address or CIDR, "
            "found '10.0.0/8'",
        ),
        (
            AP,
            "spec.rules.0.to.0.operation.ports.0",
            8080,
            "error spec.rules[0].to[0].operation.ports[0]: expected a port (1 to 65535), "
            "found 8080; put it in quotes",
        ),
        *(
            (
                AP,
                "spec.rules.0.to.0.operation.paths",
                ["/a/{*}", pattern],
                "error spec.rules[0].to[0].operation.paths[1]: expected segments between / that "
                "are {*}, literals without *, or once {**} after which only literals come, "
                f"found {pattern!r}",
            )
            for pattern in ("/{**}/{*}", "/{**}/{**}", "/a//{*}", "/{a}", "a/{*}", "/{*}.txt")
        ),
        (
            AP,
            "spec.rules.0.to.0.operation.paths",
            ["/{*}/{**}/" + "a" * 251, "/{*}/{**}/" + "a" * 252],
            "error spec.rules[0].to[0].operation.paths[1]: expected at most 256 characters "
            "without braces, found 258",
        ),
        (
            AP,
            "spec.rules.0.when.0.key",
            "request.header[x]",
            "error spec.rules[0].when[0].key: expected one of source.ip, remote.ip, "
            "source.namespace, source.principal, source.serviceAccount, request.auth.principal, "
            "request.auth.audiences, request.auth.presenter, destination.ip, destination.port, "
            "connection.sni, request.headers[NAME], request.auth.claims[NAME], "
            "found 'request.header[x]'",
        ),
        (
            AP,
            "spec.rules.0.when.1.values",
            REMOVED,
            "error spec.rules[0].when[1]: expected values or notValues, found none",
        ),
        (AP, "spec.action", "CUSTOM", "error spec.provider: is required with action CUSTOM"),
        (
            AP,
            "spec.rules.0.from.0.source.serviceAccounts",
            ["shop/api"],
            None,
        ),
        (
            AP,
            "spec.rules.0.from.1.source.serviceAccounts",
            ["shop/api"],
            "error spec.rules[0].from[1].source.serviceAccounts: "
            "cannot stand together with namespaces or principals",
        ),
        (
            AP,
            "spec.rules.0.from.1.source.principals",
            [f"spiffe://{FQ}"],
            f"warning spec.rules[0].from[1].source.principals[0]: 'spiffe://{FQ}' matches nobody; "
            f"did you mean {FQ}?",
        ),
        (
            AP,
            "spec.rules.0.from.1.source.principals",
            ["cluster.local/ns/*/sa/web"],
            "warning spec.rules[0].from[1].source.principals[0]: 'cluster.local/ns/*/sa/web' "
            "matches nobody; expected TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT, '*' first or last",
        ),
        # Service
        (
            SVC,
            "spec.ports.1.name",
            REMOVED,
            "error spec.ports[1].name: is required with several ports",
        ),
        (
            SVC,
            "spec.ports.1.name",
            "http",
            "error spec.ports[1].name: port name 'http' is given twice",
        ),
        (
            SVC,
            "spec.ports.0.protocol",
            "UDP",
            "error not supported yet: spec.ports[0].protocol: 'UDP' (supported: TCP) in x.yaml",
        ),
        (
            SVC,
            "spec.ports.0.targetPort",
            "8080",
            "error spec.ports[0].targetPort: expected the name of a port (at most 15 lower-case "
            "letters, digits and '-'), found '8080'",
        ),
        (
            SVC,
            "spec.ports.0.port",
            True,
            "error spec.ports[0].port: expected a port (1 to 65535), found true",
        ),
        (SVC, "spec.ports", [], "error spec.ports: expected at least 1 item, found 0"),
        (
            SVC,
            "spec.clusterIP",
            "10.96",
            "error spec.clusterIP: expected an IP address or None, found '10.96'",
        ),
        (
            SVC,
            "metadata.labels",
            {"topology.istio.io/network": "n"},
            "error not supported yet: metadata.labels[topology.istio.io/network]: name the "
            "gateway in meshNetworks of ConfigMap istio instead in x.yaml",
        ),
        (
            SVC,
            "metadata.name",
            "a.b",
            "error metadata.name: expected a DNS label for the name of a Service, found 'a.b'",
        ),
        # ConfigMap
        (
            CM,
            "metadata.name",
            "other",
            "error not supported yet: metadata.name: ConfigMap istio-system/other "
            "(only istio-system/istio is read) in x.yaml",
        ),
        (
            CM,
            "data.mesh",
            "a: [",
            "error data.mesh: not valid YAML: did not find expected node content",
        ),
        (
            CM,
            "data.mesh",
            {"trustDomain": "x"},
            "error data.mesh: expected a YAML text (write it after '|'), found a mapping",
        ),
        (
            CM,
            "data.meshNetworks",
            "networks: {n: {gateways: [{address: gw.example.org, port: 15443}]}}",
            "error not supported yet: data.meshNetworks.networks.n.gateways[0].address: "
            "host name 'gw.example.org' in x.yaml",
        ),
        (
            CM,
            "data.meshNetworks",
            "networks: {n: {gateways: [{address: 10.0.0.1}]}}",
            "error data.meshNetworks.networks.n.gateways[0].port: is required",
        ),
        (
            CM,
            "data.meshNetworks",
            "networks: {n: {endpoints: [{fromRegistry: c1}]}}",
            "warning data.meshNetworks.networks.n.endpoints: has no effect on hosts: "
            "a workload's network is the one that it names itself",
        ),
    ],
)
def test_a_spoilt_document(
    says: Callable[[dict[str, Any]], list[str]],
    name: str,
    path: str,
    value: object,
    expected: str | None,
) -> None:
    found = says(spoil(name, path, value))
    if expected is None:
        assert not [line for line in found if line.startswith("error")]
    else:
        assert expected in found


def test_weights_that_are_no_percentages_are_explained(
    says: Callable[[dict[str, Any]], list[str]],
) -> None:
    routes = [{**ROUTES[0], "weight": 3}, {**ROUTES[1], "weight": 1}, ROUTES[0]]
    found = says(spoil(VS, "spec.http.0.route", routes))
    assert "warning spec.http[0].route[2]: has no weight and gets no traffic" in found
    assert (
        "warning spec.http[0].route: the sum of the weights is 4, not 100: "
        "the shares are 75%, 25%, 0%"
    ) in found


def test_protocols_of_a_gateway_are_read_in_any_case(everything: Sets) -> None:
    text = yaml.safe_dump(spoil(GW, "spec.servers.0.port.protocol", "https"))
    supported = {
        **everything,
        "Gateway": frozenset(
            {
                "selector",
                "servers[].port.protocol=HTTPS",
                "servers[].port.protocol=HTTP",
                "servers[].port",
                "servers[].hosts",
                "servers[].tls",
                "servers[].port.name",
                "servers[].port.number",
            }
        ),
    }
    loaded = load({"x.yaml": text}, supported)
    assert [str(problem) for problem in loaded.problems] == []
    (document,) = loaded.documents
    servers: Any = document.spec["servers"]
    assert [server["port"]["protocol"] for server in servers] == ["HTTPS", "HTTP"]
