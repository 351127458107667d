# SPDX-License-Identifier: Apache-2.0
"""What hosts get to join, compared with what istioctl writes, and what they are told instead."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod
from lab.tools import tool
from mesh_agent.identity.client import SigningError

from .conftest import RunModule
from .test_harness import sign
from .test_workload_entry import warned

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "bootstrap"
ADDRESS = "192.0.2.10"
# Everything that istioctl looks at is in it: an overlay of either place, ports, a probe, labels.
GROUP: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadGroup",
    "metadata": {
        "name": "api",
        "namespace": NAMESPACE,
        "annotations": {
            "proxy.istio.io/config": "proxyMetadata: {OBJECT: 'a b', BOTH: object}\nconcurrency: 2"
        },
    },
    "spec": {
        "metadata": {
            "labels": {"app": "api", "version": "v1"},
            "annotations": {
                "proxy.istio.io/config": "proxyMetadata: {BOTH: spec}\ndrainDuration: 30s"
            },
        },
        "template": {
            "serviceAccount": "api",
            "network": "network-1",
            "ports": {"http": 8080, "grpc": 9090},
        },
        "probe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2},
    },
}
PLAIN: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "WorkloadGroup",
    "metadata": {"name": "plain", "namespace": NAMESPACE},
    "spec": {"metadata": {}, "template": {"serviceAccount": "default"}},
}

UNREADABLE: dict[str, Any] = {
    **PLAIN,
    "metadata": {
        "name": "unreadable",
        "namespace": NAMESPACE,
        "annotations": {"proxy.istio.io/config": "a: ["},
    },
}


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, istiod: Istiod) -> Iterator[ApiServer]:
    """A namespace with groups and service accounts, and what the chart adds to istiod's own."""
    api_server.namespace(NAMESPACE, "api", "default")
    mesh = yaml.safe_load(api_server.get("cm/istio", "--namespace=istio-system")["data"]["mesh"])
    # istioctl 1.32-dev ends in a panic over an overlay when the mesh itself has no proxyMetadata.
    mesh["defaultConfig"] |= {"proxyMetadata": {"MESH": "1"}, "meshId": "mesh9"}
    values = json.dumps({"global": {"multiCluster": {"clusterName": istiod.cluster_id}}})
    revised = yaml.safe_dump(mesh)
    api_server.apply(
        [
            GROUP,
            PLAIN,
            UNREADABLE,
            config_map("istio-revised", {"mesh": yaml.safe_dump({"trustDomain": "other.example"})}),
            config_map("istio-canary", {"mesh": revised}),
            config_map("istio-sidecar-injector", {"values": values, "config": ""}),
            config_map("istio-sidecar-injector-canary", {"values": values, "config": ""}),
            config_map("istio-sidecar-injector-revised", {"values": "{}", "config": ""}),
        ]
    )
    yield api_server
    for name in (
        "istio-revised",
        "istio-canary",
        "istio-sidecar-injector",
        "istio-sidecar-injector-canary",
        "istio-sidecar-injector-revised",
    ):
        api_server.kubectl("delete", "configmap", name, "--namespace=istio-system")


def config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "istio-system"},
        "data": data,
    }


def host(**more: Any) -> dict[str, Any]:
    return {"name": "api-1", "namespace": NAMESPACE, "group": "api", **more}


def bootstrap(run: RunModule, *hosts: dict[str, Any], **options: Any) -> dict[str, Any]:
    more = {"control_plane_addresses": [f"{ADDRESS}:15012"], **options}
    check = bool(more.pop("check", False))
    return run("workload_bootstrap", {"hosts": list(hosts), **more}, check=check)


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def configure(api: ApiServer, directory: Path, *more: str) -> dict[str, str]:
    """The files that istioctl writes, by their names."""
    command = [
        *(str(tool("istioctl")), "--kubeconfig", str(api.kubeconfig)),
        *("experimental", "workload", "entry", "configure", "--namespace", NAMESPACE),
        *("--output", str(directory), "--ingressIP", ADDRESS, *more),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return {path.name: path.read_text() for path in directory.iterdir()}


def environment(text: str) -> dict[str, str]:
    pairs = (shlex.split(line)[0].partition("=") for line in text.splitlines())
    return {name: value for name, _equals, value in pairs}


@pytest.mark.parametrize(
    ("group", "revision", "options", "flags"),
    [
        ("api", "canary", {}, ["--autoregister"]),
        ("api", "canary", {"autoregister": False, "capture_dns": False}, ["--capture-dns=false"]),
        ("plain", "default", {}, ["--autoregister"]),
        ("plain", "canary", {"cluster_id": "cluster1"}, ["--autoregister", "--clusterID=cluster1"]),
        (
            "plain",
            "revised",
            {"cluster_id": "cluster1"},
            ["--autoregister", "--clusterID=cluster1"],
        ),
    ],
)
def test_it_gives_what_istioctl_writes(
    group: str,
    revision: str,
    options: dict[str, Any],
    flags: list[str],
    cluster: ApiServer,
    run_module: RunModule,
    tmp_path: Path,
) -> None:
    written = configure(
        cluster, tmp_path / "out", f"--name={group}", f"--revision={revision}", *flags
    )
    result = bootstrap(run_module, host(group=group), revision=revision, **options)
    assert "failed" not in result, result
    (found,) = result["hosts"]

    # Not the same on purpose: istioctl orders the ports at random; ours are in their names' order.
    ours, theirs = found["cluster_env"], environment(written["cluster.env"])
    ports = "ISTIO_INBOUND_PORTS"
    assert sorted(ours.pop(ports).split(",")) == sorted(theirs.pop(ports).split(","))
    assert ours == theirs
    assert found["proxy_config"] == yaml.safe_load(written["mesh.yaml"])["defaultConfig"]
    assert found["root_certificate"] == written["root-cert.pem"]

    # Not the same on purpose: our addresses carry ports, for node ports and several gateways.
    assert result["mesh"]["addresses"] == [f"{ADDRESS}:15012"]
    assert written["hosts"] == f"{ADDRESS} {result['mesh']['server_name']}\n"

    ours, theirs = claims(found["token"]), claims(written["istio-token"])
    for moment in ("exp", "iat", "nbf", "jti"):
        ours.pop(moment), theirs.pop(moment)
    assert ours == theirs


@pytest.mark.parametrize(
    ("option", "flag"), [("internal_address", "internalIP"), ("external_address", "externalIP")]
)
def test_addresses_of_the_host_are_told_as_istioctl_tells_them(
    option: str, flag: str, cluster: ApiServer, run_module: RunModule, tmp_path: Path
) -> None:
    written = configure(
        cluster, tmp_path / "out", "--name=plain", "--autoregister", f"--{flag}=192.0.2.77"
    )
    result = bootstrap(run_module, host(group="plain", **{option: "192.0.2.77"}))
    assert result["hosts"][0]["cluster_env"] == environment(written["cluster.env"])


def test_a_token_is_of_the_host_and_lives_as_long_as_asked(
    cluster: ApiServer, run_module: RunModule
) -> None:
    gateway = {"name": "gw", "namespace": NAMESPACE, "service_account": "default"}
    known = host(name="api-2", token=False)
    result = bootstrap(run_module, host(), gateway, known, token_lifetime_seconds=1200)
    assert [entry["name"] for entry in result["hosts"]] == ["api-1", "gw", "api-2"]
    first, second, third = result["hosts"]
    assert third["token"] is None
    assert first["group"] == "api"
    assert second["group"] is None
    assert "ISTIO_META_AUTO_REGISTER_GROUP" not in second["cluster_env"]
    for entry, account in ((first, "api"), (second, "default")):
        said = claims(entry["token"])
        assert said["sub"] == f"system:serviceaccount:{NAMESPACE}:{account}"
        assert said["aud"] == ["istio-ca"]
        assert said["exp"] - said["iat"] == 1200
    assert result["changed"] is False


async def test_istiod_takes_and_refuses_what_the_review_said(
    cluster: ApiServer, istiod: Istiod, run_module: RunModule
) -> None:
    found = bootstrap(run_module, host())
    assert await sign(istiod, found["hosts"][0]["token"])
    with pytest.raises(SigningError, match="UNAUTHENTICATED"):
        await sign(istiod, cluster.token(NAMESPACE, "api", audience="vault"))
    with pytest.raises(SigningError, match="UNAUTHENTICATED"):
        await sign(istiod, found["hosts"][0]["token"], cluster="cluster9")


def test_check_mode_issues_nothing(cluster: ApiServer, run_module: RunModule) -> None:
    result = bootstrap(run_module, host(), check=True)
    assert result["hosts"][0]["token"] is None
    assert "BEGIN CERTIFICATE" in result["hosts"][0]["root_certificate"]


def test_a_host_that_cannot_be_served_is_named_and_the_others_are_served(
    cluster: ApiServer, run_module: RunModule
) -> None:
    result = bootstrap(
        run_module,
        host(name="good"),
        host(name="no-group", group="nogroup"),
        host(name="no-account", service_account="nobody"),
        host(name="no-namespace", namespace="nowhere", group=None),
        host(name="unreadable", group="unreadable"),
        host(name="good-as-well"),
        wait_timeout=1,
    )
    assert result["failed"] is True
    assert [one["name"] for one in result["hosts"]] == ["good", "good-as-well"]
    assert all(claims(one["token"])["aud"] == ["istio-ca"] for one in result["hosts"])
    failures = {one["name"]: one["message"] for one in result["failures"]}
    assert list(failures) == ["no-group", "no-account", "no-namespace", "unreadable"]
    assert f"WorkloadGroup {NAMESPACE}/nogroup does not exist" in failures["no-group"]
    assert f"ServiceAccount {NAMESPACE}/nobody does not exist: create it" in failures["no-account"]
    assert (
        "ConfigMap nowhere/istio-ca-root-cert does not exist, after 1 s" in failures["no-namespace"]
    )
    assert "ServiceAccount nowhere/default does not exist" in failures["no-namespace"]
    assert "proxy.istio.io/config" in failures["unreadable"]
    said = "\n".join(f"{name}: {message}" for name, message in failures.items())
    assert result["msg"] == said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"audience": "vault"},
            "api-1: istiod would refuse the token: expected the audience istio-ca, found vault",
        ),
        (
            {"token_lifetime_seconds": 60},
            "token_lifetime_seconds: expected at least 600, the least that the API server gives, "
            "found 60",
        ),
        (
            {"cluster_id": "cluster9"},
            "cluster_id: expected a cluster that istiod knows (cluster1), found cluster9",
        ),
        (
            {"revision": "revised"},
            "cluster ID unknown: ConfigMap istio-system/istio-sidecar-injector-revised has no "
            "global.multiCluster.clusterName in its values; give the option cluster_id",
        ),
        (
            {"revision": "absent"},
            "ConfigMap istio-system/istio-absent does not exist",
        ),
        (
            {"control_plane_addresses": []},
            "no address at which hosts reach istiod was found: Service istio-system/istiod does "
            "not exist; Service istio-system/istio-eastwestgateway does not exist",
        ),
        (
            {"kubeconfig": "/nonexistent/config"},
            "/nonexistent/config",
        ),
    ],
)
def test_what_is_wrong_for_all_hosts_is_said_once(
    options: dict[str, Any], message: str, cluster: ApiServer, run_module: RunModule
) -> None:
    result = bootstrap(run_module, host(), **options)
    assert result["failed"] is True
    assert message in result["msg"]


def test_a_cluster_that_istiod_knows_by_a_remote_secret_is_taken(
    cluster: ApiServer, run_module: RunModule
) -> None:
    cluster.apply(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "istio-remote-secret-far",
                    "namespace": "istio-system",
                    "labels": {"istio/multiCluster": "true"},
                },
                "stringData": {"far": "no kubeconfig"},
            }
        ]
    )
    try:
        result = bootstrap(run_module, host(), cluster_id="far")
        assert result["mesh"]["cluster_id"] == "far"
    finally:
        name = "istio-remote-secret-far"
        cluster.kubectl("delete", "secret", name, "--namespace=istio-system")


def test_a_user_who_may_not_is_told_which_verb_and_resource(
    cluster: ApiServer, run_module: RunModule, capsys: pytest.CaptureFixture[str]
) -> None:
    poor = {"kubeconfig": str(cluster.kubeconfig_for("poor"))}
    result = bootstrap(run_module, host(), **poor)
    assert "user 'poor' may not get configmaps in the namespace istio-system" in result["msg"]
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
        {"apiGroups": ["networking.istio.io"], "resources": ["workloadgroups"], "verbs": ["get"]},
    ]
    cluster.apply(allow("poor", "bootstrap-reader", rules))
    result = bootstrap(run_module, host(), **poor)
    expected = f"user 'poor' may not create serviceaccounts/token in the namespace {NAMESPACE}"
    assert expected in result["msg"]
    rules.append({"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]})
    cluster.apply(allow("poor", "bootstrap-reader", rules))
    result = bootstrap(run_module, host(), **poor)
    assert result["hosts"][0]["token"]
    assert "tokens were not tried" in warned(result, capsys)


def allow(user: str, name: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kind = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{kind}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        },
        {
            "apiVersion": f"{kind}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": kind, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": kind, "kind": "User", "name": user}],
        },
    ]


SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "way-in", "namespace": NAMESPACE},
    "spec": {"ports": [{"name": "tls-istiod", "port": 15012}]},
}


def test_the_way_to_istiod_is_read_from_a_gateways_service(
    cluster: ApiServer, run_module: RunModule
) -> None:
    def addresses(spec: dict[str, Any]) -> Any:
        cluster.apply([{**SERVICE, "spec": {**SERVICE["spec"], **spec}}])
        options = {"control_plane_addresses": [], "gateway": f"way-in.{NAMESPACE}"}
        result = bootstrap(run_module, host(), **options)
        return result.get("msg") or result["mesh"]["addresses"]

    assert "is of type ClusterIP" in addresses({"type": "ClusterIP"})
    assert addresses({"externalIPs": ["192.0.2.5", "2001:db8::5"]}) == [
        "192.0.2.5:15012",
        "[2001:db8::5]:15012",
    ]
    assert "has no address yet" in addresses({"type": "LoadBalancer", "externalIPs": []})
    ingress = [{"ip": "192.0.2.7"}, {"hostname": "mesh.example.org"}]
    status = json.dumps({"status": {"loadBalancer": {"ingress": ingress}}})
    cluster.kubectl(
        *("patch", "service", "way-in", f"--namespace={NAMESPACE}", "--type=merge"),
        *("--subresource=status", f"--patch={status}"),
    )
    assert addresses({"type": "LoadBalancer"}) == ["192.0.2.7:15012", "mesh.example.org:15012"]
