# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of what hosts get to join; tests/cluster compares the whole with istioctl."""

from __future__ import annotations

import base64
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap import (
    addresses,
    certificates,
    meshconfig,
    networks,
    permissions,
    registry,
    tokens,
    workload,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.control_plane import (
    ControlPlane,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.issue import Issuer
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.parallel import gather
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.reader import (
    BootstrapError,
    NotAllowedError,
    NotFoundError,
    Reader,
)
from ansible_collections.hybrid.mesh.plugins.module_utils._bootstrap.revision import Revision
from ansible_collections.hybrid.mesh.plugins.module_utils._cluster.errors import ClusterError

from mesh_core import pki


class FakeApi:
    """Answers by path; what is not there is missing."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, Any]] = []

    def get(self, path: str) -> Any:
        found = self.answers.get(path, ClusterError("no", 404))
        if isinstance(found, list):
            found = found.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def create(self, path: str, body: Any) -> Any:
        self.sent.append((path, body))
        return self.get(path)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def plane(answers: dict[str, Any], revision: str = "default") -> ControlPlane:
    return ControlPlane(Reader(FakeApi(answers)), Revision(revision))


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 15012, "nodePort": 30012}]
    return {
        "metadata": {"name": "gw", "namespace": "istio-system"},
        "spec": {"ports": ports, **spec},
    }


def node(name: str, **found: str) -> dict[str, Any]:
    given = [{"type": kind, "address": address} for kind, address in found.items()]
    return {"metadata": {"name": name, "labels": {"name": name}}, "status": {"addresses": given}}


NODES = [
    node("a", InternalIP="10.0.0.1", ExternalIP="192.0.2.1", Hostname="a"),
    node("b", InternalIP="fd00::2", Hostname="b"),
]


def test_a_node_port_is_reached_at_the_nodes_that_serve_it() -> None:
    assert addresses.outer_addresses(service(), 15012, lambda: NODES) == [
        "192.0.2.1:30012",
        "[fd00::2]:30012",
    ]
    chosen = service()
    chosen["metadata"]["annotations"] = {addresses.NODE_SELECTOR: '{"name": "b"}'}
    assert addresses.outer_addresses(chosen, 15012, lambda: NODES) == ["[fd00::2]:30012"]


def test_nodes_are_not_asked_for_where_there_is_something_better() -> None:
    given = service(externalIPs=["192.0.2.9", "192.0.2.9"])
    assert addresses.outer_addresses(given, 15012, pytest.fail) == ["192.0.2.9:15012"]
    given["status"] = {"loadBalancer": {"ingress": [{"hostname": "m.example.org"}]}}
    assert addresses.outer_addresses(given, 15012, pytest.fail) == [
        "m.example.org:15012",
        "192.0.2.9:15012",
    ]
    assert addresses.outer_addresses(given, 15443, pytest.fail) == []
    said = addresses.what_is_missing(given, 15443, "istio-system/gw")
    assert said == "Service istio-system/gw: expected a port 15443, found 15012"


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        ("istiod.istio-system.svc", True),
        ("istiod.istio-system.svc.cluster.local", True),
        ("istiod", True),
        ("istiod.example.org", False),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
    ],
)
def test_names_of_the_cluster_are_told_from_others(host: str, inside: bool) -> None:
    assert addresses.inside_cluster(host) is inside


def test_a_discovery_address_that_hosts_can_use_is_used() -> None:
    text = "defaultConfig: {discoveryAddress: 'istiod.example.org:443'}"
    mesh = meshconfig.read_mesh_config(text, "mesh")
    found = plane({})
    assert found.outer_addresses(mesh, "gw") == ["istiod.example.org:443"]
    assert found.server_name(mesh) == "istiod.example.org"


def test_istiods_own_service_comes_before_the_gateways() -> None:
    mesh = meshconfig.MeshConfig()
    path = "/api/v1/namespaces/{}/services/{}"
    answers = {
        path.format("istio-system", "istiod-canary"): service(externalIPs=["192.0.2.1"]),
        path.format("edge", "gw"): service(externalIPs=["192.0.2.2"]),
    }
    assert plane(answers, "canary").outer_addresses(mesh, "gw.edge") == ["192.0.2.1:15012"]
    assert plane(answers).outer_addresses(mesh, "gw.edge") == ["192.0.2.2:15012"]
    with pytest.raises(NotFoundError, match="Service istio-system/gw does not exist"):
        plane(answers).outer_addresses(mesh, "gw")


def test_the_root_of_a_new_namespace_is_waited_for() -> None:
    path = "/api/v1/namespaces/shop/configmaps/root"
    late = [ClusterError("no", 404), ClusterError("no", 404), {"data": {"root-cert.pem": "PEM"}}]
    clock = Clock()
    assert plane({path: late}).root_certificate("shop", "root", 5, clock) == "PEM"
    assert clock.now == 2
    with pytest.raises(NotFoundError, match="does not exist, after 5 s: expected istiod"):
        plane({}).root_certificate("shop", "root", 5, clock)
    assert clock.now <= 8
    with pytest.raises(BootstrapError, match=r"expected a key root-cert.pem, found ca.crt"):
        plane({path: {"data": {"ca.crt": "x"}}}).root_certificate("shop", "root", 5, clock)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "expected YAML"), ("- a", "expected a mapping, found list")],
)
def test_a_mesh_configuration_that_makes_no_sense_is_named(text: str, message: str) -> None:
    with pytest.raises(BootstrapError, match=f"ConfigMap x: {message}"):
        meshconfig.read_mesh_config(text, "ConfigMap x")


def test_an_overlay_works_also_where_the_mesh_has_no_metadata() -> None:
    """istioctl 1.32-dev ends in a panic there."""
    overlay = {"proxy.istio.io/config": "proxyMetadata: {A: b}"}
    found = meshconfig.proxy_config(meshconfig.MeshConfig(), [overlay], Revision("canary"))
    assert found["proxyMetadata"] == {"A": "b"}
    assert found["discoveryAddress"] == "istiod-canary.istio-system.svc:15012"


@pytest.mark.parametrize(
    ("port", "excluded"),
    [
        (None, "22,15090,15021,15020"),
        (15021, "22,15090,15021"),
        (15090, "22,15090,15021"),
        (8080, "22,15090,15021,8080"),
    ],
)
def test_the_agents_own_port_is_not_redirected(port: int | None, excluded: str) -> None:
    mesh = meshconfig.MeshConfig({"defaultConfig": {"statusPort": port} if port else {}})
    group = workload.Group("api", "shop")
    _config, found = workload.configure(group, mesh, Revision(), workload.Choices())
    assert found["ISTIO_LOCAL_EXCLUDE_PORTS"] == excluded
    assert found["ISTIO_INBOUND_PORTS"] == "*"


def test_a_token_too_short_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(BootstrapError, match=r"expected at least 600.*found 599"):
        Issuer(Reader(FakeApi({})), "istio-ca", 599, ["istio-ca"])


def test_no_token_stands_in_an_error() -> None:
    api = FakeApi(
        {
            "/api/v1/namespaces/shop/serviceaccounts/api/token": {"status": {"token": "a.e30.c"}},
            tokens.REVIEW_PATH: {"status": {"authenticated": False, "error": "expired"}},
        }
    )
    with pytest.raises(BootstrapError, match="expired") as caught:
        Issuer(Reader(api), "istio-ca", 600, ["istio-ca"]).issue("shop", "api")
    assert "a.e30.c" not in str(caught.value)
    assert api.sent[1][1]["spec"] == {"token": "a.e30.c", "audiences": ["istio-ca"]}


def test_an_answer_without_a_token_is_an_error() -> None:
    with pytest.raises(BootstrapError, match="no token of three parts"):
        tokens.claims("nothing")


@pytest.mark.parametrize(
    ("status", "kind"), [(403, NotAllowedError), (404, NotFoundError), (500, BootstrapError)]
)
def test_what_was_read_stands_in_the_error(status: int, kind: type[Exception]) -> None:
    path = "/api/v1/namespaces/a/configmaps/b"
    with pytest.raises(kind, match="ConfigMap a/b"):
        Reader(FakeApi({path: ClusterError("why", status)})).config_map("a", "b")


@pytest.mark.parametrize("status", [None, 401])
def test_a_cluster_that_cannot_be_asked_is_not_explained_away(status: int | None) -> None:
    path = "/api/v1/namespaces/a/configmaps/b"
    with pytest.raises(ClusterError, match="why"):
        Reader(FakeApi({path: ClusterError("why", status)})).config_map("a", "b")


def test_each_question_is_asked_once() -> None:
    asked = []

    def read(key: str) -> str:
        asked.append(key)
        if key == "bad":
            raise BootstrapError("because")
        return key.upper()

    assert gather(["a", "bad", "a"], read) == ({"a": "A"}, {"bad": "because"})
    assert sorted(asked) == ["a", "bad"]


def test_names_of_a_certificate_are_read(tmp_path: Path) -> None:
    authority = pki.Authority.open(tmp_path / "ca", "cluster.local")
    key = pki.new_key()
    uri = "spiffe://cluster.local/ns/shop/sa/web"
    chain = authority.issue(pki.new_csr(key, uri), uris=[uri], lifetime=timedelta(hours=1))
    assert certificates.names_of(ssl.PEM_cert_to_DER_cert(chain[0])) == [uri]
    (found,) = certificates.describe(authority.root_pem, "root")
    assert len(found["sha256"]) == 64
    with pytest.raises(BootstrapError, match="root: expected PEM certificates, found none"):
        certificates.describe("", "root")


def test_entries_are_counted_by_their_group_whoever_says_it() -> None:
    def entry(status: str | None, probed: bool = True, **metadata: Any) -> dict[str, Any]:
        said = [{"type": "Healthy", "status": status}] if status else []
        checked = {"proxy.istio.io/health-checks-enabled": "true"}
        notes = {**checked, **metadata.pop("annotations", {})} if probed else {}
        found = {"metadata": {"name": "x", "annotations": notes, **metadata}}
        return {**found, "status": {"conditions": said}}

    owned = {"ownerReferences": [{"kind": "WorkloadGroup", "name": "api"}]}
    noted = {"annotations": {"istio.io/autoRegistrationGroup": "api"}}
    entries = [entry("True", **owned), entry("False", **noted), entry(None, **noted)]
    entries += [entry("False", probed=False, **owned), entry("True")]
    group = {"metadata": {"name": "api", "namespace": "shop"}}
    (found,) = registry.groups([group], entries)
    assert found["entries"] == {
        "total": 4,
        "healthy": 1,
        "unhealthy": 1,
        "unknown": 1,
        # istiod does not look at the condition of one that nobody probes, either.
        "unchecked": 1,
    }
    assert found["service_account"] == "default"
    assert registry.count(entries)["total"] == 5


def test_a_gateways_port_may_be_another() -> None:
    gateway = service(externalIPs=["192.0.2.1"])
    gateway["spec"]["ports"] = [{"port": 8443}]
    gateway["metadata"]["labels"] = {
        "topology.istio.io/network": "far",
        "networking.istio.io/gatewayPort": "8443",
    }
    (found,) = networks.networks([gateway], {"networks": {}}, list)
    assert found["gateways"] == [{"address": "192.0.2.1:8443", "source": "Service istio-system/gw"}]


def test_permissions_name_verb_resource_and_place() -> None:
    kinds = [permissions.Applied("", "services", place) for place in ("istio-system", "shop")]
    needed = permissions.needed(Revision("canary"), ["shop"], "root", "till", kinds)
    found = {one.text for one in needed}
    assert len(found) == len(needed)
    assert "delete configmaps hybrid-mesh-set-till in namespace istio-system" in found
    assert "delete services in namespace shop" in found
    assert "create tokenreviews.authentication.k8s.io in the whole cluster" in found
    assert "create serviceaccounts/token in namespace shop" in found
    assert "patch workloadentries.networking.istio.io in namespace shop" in found
    assert "get configmaps istio-canary in namespace istio-system" in found
    assert "get configmaps root in namespace shop" in found


def test_the_roles_that_are_shipped_grant_all_of_it(checkout: Path) -> None:
    folder = checkout / "roles" / "cluster" / "files"
    granted = {
        "istio-system": yaml.safe_load((folder / "control-plane.yaml").read_text())["rules"],
        "shop": yaml.safe_load((folder / "workloads.yaml").read_text())["rules"],
        "": yaml.safe_load((folder / "cluster.yaml").read_text())["rules"],
    }
    kinds = [permissions.Applied("security.istio.io", "peerauthentications", "shop")]
    for one in permissions.needed(Revision(), ["shop"], "istio-ca-root-cert", applied=kinds):
        resource = "/".join(filter(None, (one.resource, one.subresource)))
        assert any(
            one.group in rule["apiGroups"]
            and resource in rule["resources"]
            and one.verb in rule["verbs"]
            and one.name in rule.get("resourceNames", [one.name])
            for rule in granted[one.namespace]
        ), one.text


def test_an_audience_is_compared_also_where_reviews_are_not_allowed() -> None:
    body = base64.urlsafe_b64encode(b'{"aud": ["vault"]}').decode().rstrip("=")
    answers = {
        "/api/v1/namespaces/shop/serviceaccounts/api/token": {"status": {"token": f"a.{body}.c"}},
        tokens.REVIEW_PATH: ClusterError("not allowed", 403),
    }
    with pytest.raises(BootstrapError, match="expected the audience istio-ca, found vault"):
        Issuer(Reader(FakeApi(answers)), "vault", 600, ["istio-ca"]).issue("shop", "api")
    issuer = Issuer(Reader(FakeApi(answers)), "vault", 600, ["istio-ca", "vault"])
    assert issuer.issue("shop", "api")
    assert "tokens were not tried" in issuer.unchecked
