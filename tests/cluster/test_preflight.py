# SPDX-License-Identifier: Apache-2.0
"""What preflight finds, in the cluster and on a host, before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.hybrid.mesh.plugins.filter.certificates import certificates

from lab.cluster import ApiServer, Istiod
from mesh_core.pki import Authority

from .conftest import RunModule
from .test_bootstrap import config_map
from .test_mesh_info import deployment

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]


CHECK = [
    {
        "name": "Check",
        "ansible.builtin.include_role": {
            "name": "hybrid.mesh.cluster",
            "tasks_from": "check",
            "apply": {"run_once": True},
        },
    }
]


def problems(output: str) -> list[str]:
    """The lines of a list of problems, each once."""
    lines = [line[2:] for line in output.splitlines() if line.startswith("- ")]
    return list(dict.fromkeys(lines))


@pytest.fixture
def revised(api_server: ApiServer, istiod: Istiod) -> Iterator[str]:
    """A revision whose istiod is not what hosts expect, and a namespace with another root."""
    values = json.dumps({"global": {"multiCluster": {"clusterName": istiod.cluster_id}}})
    control = deployment()
    control["metadata"] |= {
        "name": "istiod-bad",
        "labels": {"app": "istiod", "istio.io/rev": "bad"},
    }
    container = control["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "TOKEN_AUDIENCES", "value": "vault"}]
    # istiod keeps the root of every namespace but Kubernetes' own.
    other = config_map(
        "istio-ca-root-cert", {"root-cert.pem": api_server.certificate_authority.read_text()}
    )
    other["metadata"]["namespace"] = "kube-public"
    made = [
        config_map("istio-bad", {"mesh": "trustDomain: cluster.local"}),
        config_map("istio-sidecar-injector-bad", {"values": values}),
        control,
        other,
    ]
    api_server.apply(made)
    yield "bad"
    for one in made:
        where = f"--namespace={one['metadata']['namespace']}"
        api_server.kubectl("delete", one["kind"], one["metadata"]["name"], where)


def test_preflight_finds_what_is_wrong_in_the_cluster(
    api_server: ApiServer, istiod: Istiod, revised: str, played: Callable[..., str]
) -> None:
    api_server.namespace("bad-mesh", "web", "other")
    api_server.kubectl(
        *("wait", "configmap/istio-ca-root-cert", "--for=create"),
        *("--namespace=bad-mesh", "--timeout=30s"),
    )
    metadata = {"name": "web", "namespace": "bad-mesh"}
    spec = {"template": {"serviceAccount": "web"}}
    version = "networking.istio.io/v1"
    api_server.apply(
        [{"apiVersion": version, "kind": "WorkloadGroup", "metadata": metadata, "spec": spec}]
    )
    hosts = {
        "a": {"mesh_network": "one"},
        "b": {"mesh_network": "two", "mesh_service_account": "other"},
        "c": {"mesh_network": "one", "mesh_workload_group": "none", "mesh_service_account": "web"},
        "d": {"mesh_network": "one", "mesh_namespace": "kube-public"},
    }
    address = istiod.addresses[0]
    variables = {
        "mesh_kubeconfig": str(api_server.kubeconfig),
        "mesh_namespace": "bad-mesh",
        "mesh_revision": revised,
        "mesh_cluster_id": "cluster9",
        "mesh_control_plane_addresses": [address],
        "cluster_manage_groups": False,
    }
    output = played(hosts, CHECK, variables)
    assert "Nothing was changed, neither there nor on a host." in output
    name, expected = f"istiod at {address}", "istiod-bad.istio-system.svc among its names, found"
    for beginning, said in (
        ("mesh_cluster_id is cluster9", "the cluster's cluster_id is cluster1"),
        ("the namespace istio-system has no label topology.istio.io/network", "one, two"),
        ("the root certificates in the namespaces bad-mesh, kube-public differ", "expected the"),
        ("service account bad-mesh/web", "expected the audience vault, found istio-ca"),
        ("service account kube-public/web", "ServiceAccount kube-public/web does not exist"),
        ("b: its service account is other", "that of the WorkloadGroup bad-mesh/web is web"),
        ("c: there is no WorkloadGroup bad-mesh/none", "create it, or correct mesh_workload_group"),
        (name, expected),
    ):
        (problem,) = (line for line in problems(output) if line.startswith(beginning))
        assert said in problem


def test_the_audience_of_tokens_is_the_inventorys(
    api_server: ApiServer, istiod: Istiod, revised: str, played: Callable[..., str]
) -> None:
    """For an istiod that takes another audience than Istio's own."""
    api_server.namespace("vault", "web")
    api_server.kubectl(
        *("wait", "configmap/istio-ca-root-cert", "--for=create"),
        *("--namespace=vault", "--timeout=30s"),
    )
    variables = {
        "mesh_kubeconfig": str(api_server.kubeconfig),
        "mesh_namespace": "vault",
        "mesh_network": "one",
        "mesh_cluster_id": "cluster9",
        "mesh_revision": revised,
        "mesh_token_audience": "vault",
    }
    (problem,) = problems(played({"a": {}}, CHECK, variables))
    assert problem.startswith("mesh_cluster_id is cluster9")

    subject = {"name": "a", "namespace": "vault", "service_account": "web"}
    issue = {
        "name": "Issue",
        "ansible.builtin.include_role": {
            "name": "hybrid.mesh.agent",
            "tasks_from": "issue_istiod",
        },
        "vars": {"__agent_subjects": [subject]},
    }
    claims = "(__agent_issued.hosts[0].token.split('.')[1] ~ '===') | b64decode | from_json"
    show = {"name": "Show", "ansible.builtin.fail": {"msg": f"for {{{{ ({claims}).aud }}}}"}}
    variables |= {"mesh_cluster_id": istiod.cluster_id, "agent_control_plane_addresses": ["x:1"]}
    assert "for ['vault']" in played({"a": {}}, [issue, show], variables)


def test_a_host_sees_whose_certificate_istiod_has(istiod: Istiod, run_module: RunModule) -> None:
    look = {"control_plane": istiod.addresses[0], "server_name": "istiod.istio-system.svc"}
    seen = run_module("host_info", look, host=True)
    assert seen["control_plane"] == ""
    assert "istiod.istio-system.svc" in seen["control_plane_names"]


def _root(directory: Path, trust_domain: str) -> str:
    directory.mkdir()
    return Authority.open(directory, trust_domain).root_pem


def test_preflight_finds_what_is_wrong_on_a_host(
    checkout: Path, tmp_path: Path, played: Callable[..., str]
) -> None:
    """The judgement alone: what is seen on a host is made up."""
    ours, theirs = (_root(tmp_path / name, name) for name in ("ours", "theirs"))
    seen: dict[str, Any] = {
        "clock": {"time": "2026-05-01T12:05:00Z", "epoch": 1777637100.0, "offset_seconds": 0.0},
        "systemd": True,
        "python": "3.11.2",
        "kernel": "6.1.0",
        "glibc": "2.36",
        "nft": "",
        "default_routes": ["default via 192.0.2.1"],
        "addresses": ["192.0.2.7"],
        "ports": [],
        "control_plane": "",
    }
    late = {**seen["clock"], "offset_seconds": 300.0}
    trusts = {"stdout": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}
    hosts: dict[str, dict[str, Any]] = {
        "well": {},
        "stranger": {"__preflight_root": trusts},
        "late": {"__preflight_host": {**seen, "clock": late}},
        "unlabelled": {},
        "away": {"__preflight_host": {**seen, "control_plane": "192.0.2.1:15012: timed out"}},
    }
    problem = "expected istiod.istio-system.svc among its names, found istiod.other.svc"
    named = {
        "control_plane": f"192.0.2.1:15012: {problem}",
        "control_plane_names": ["istiod.other.svc"],
    }
    hosts["renamed"] = {"__preflight_host": {**seen, **named}}
    hosts["misled"] = {"agent_root_certificate": theirs}
    hosts["led"] = {"agent_root_certificate": theirs + ours}
    for name, changes in hosts.items():
        network = {} if name == "unlabelled" else {"mesh_network": "one"}
        hosts[name] = {"__preflight_host": seen, "__preflight_root": {}, **network, **changes}
    mesh = {"network": "one", "addresses": ["192.0.2.1:15012"], "root_certificate": ours}
    said = "{{ __preflight_checks | rejectattr('ok') | map(attribute='problem') | join(' ') }}"
    fail = {
        "name": "Judge",
        "ansible.builtin.fail": {"msg": f"{{{{ inventory_hostname }}}}={said}"},
    }
    role = checkout / "roles" / "preflight"
    output = played(
        hosts,
        [fail],
        {"cluster_mesh": mesh, "mesh_namespace": "shop"},
        vars_files=[str(role / "defaults" / "main.yml"), str(role / "vars" / "main.yml")],
    )
    found = {
        line.partition(": FAILED! => ")[0]: json.loads(line.partition(" => ")[2])["msg"]
        for line in output.splitlines()
        if line.startswith("fatal: ")
    }
    verdicts = {name: found[f"fatal: [{name}]"].partition("=")[2] for name in hosts}
    assert (verdicts["well"], verdicts["led"]) == ("", "")
    assert verdicts["stranger"].startswith(
        "/etc/mesh-agent/root-cert.pem on the host is another root than the mesh's"
    )
    assert "300 seconds ahead, expected at most 60" in " ".join(verdicts["late"].split())
    assert verdicts["unlabelled"].startswith(
        "mesh_network is not set, and the cluster is on the network one"
    )
    assert verdicts["away"].startswith(
        "istiod, asked from the host: 192.0.2.1:15012: timed out. Correct "
        "mesh_control_plane_addresses (and mesh_control_plane_network"
    )
    assert verdicts["renamed"].startswith(
        f"istiod, asked from the host: 192.0.2.1:15012: {problem}. Correct "
        "mesh_control_plane_addresses, agent_control_plane_server_name, or istiod's certificate"
    )
    for pem in (ours, theirs):
        (certificate,) = certificates(pem)
        assert f"{certificate['subject']} (SHA-256 {certificate['sha256']})" in verdicts["misled"]
