# SPDX-License-Identifier: Apache-2.0
"""The roles of roles/cluster/files are enough for what the playbooks do, and for no more."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import ApiServer, Istiod

from .conftest import RunModule
from .rights import binding

pytestmark = [pytest.mark.needs_tools, pytest.mark.timeout(180)]

NAMESPACE = "minimal-rights"
USER = "joiner"
ACCOUNT = {"service_account": "api"}
_NETWORKING = "networking.istio.io/v1"
_UTILS = "ansible_collections.hybrid.mesh.plugins.module_utils"
_PLACE = re.compile(
    r"(?:/api|/apis/(?P<group>[^/]+))/[^/]+"
    r"(?:/namespaces/(?P<namespace>[^/?]+)(?=/))?"
    r"/(?P<resource>[^/?]+)(?:/(?P<name>[^/?]+))?(?:/(?P<subresource>[^/?]+))?(?:\?.*)?"
)


FOLDER = Path(__file__).resolve().parents[2] / "roles" / "cluster" / "files"
# Each role, and the namespace that it is bound in.
ROLES = {"control-plane": "istio-system", "workloads": NAMESPACE, "cluster": ""}
# How often a user's rights are looked at until the API server knows of their change.
_LOOKS = 20


def role(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{file}.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def access(api_server: ApiServer, istiod: Istiod) -> Iterator[dict[str, Any]]:
    """Options of a user who has the roles, and nothing else."""
    assert istiod.cluster_id
    api_server.namespace(NAMESPACE)
    roles = {file: role(file) for file in ROLES}
    api_server.apply([*roles.values()])
    api_server.apply(
        [binding(roles[file]["metadata"]["name"], place, USER) for file, place in ROLES.items()]
    )
    yield {"kubeconfig": str(api_server.kubeconfig_for(USER))}
    api_server.kubectl("delete", "clusterrolebinding", "hybrid-mesh-cluster")
    api_server.kubectl(
        "delete", "rolebinding", "hybrid-mesh-control-plane", "--namespace=istio-system"
    )


def objects() -> list[dict[str, Any]]:
    """As site.yml applies them: identity and group of hosts, what a gateway takes, and a route."""

    def one(version: str, kind: str, name: str, spec: Any = None, home: str = NAMESPACE) -> Any:
        body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": home}}
        return {**body, "spec": spec} if spec else body

    ports = [{"name": "tls", "port": 15443}]
    server = {
        "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
        "tls": {"mode": "AUTO_PASSTHROUGH"},
        "hosts": ["*.local"],
    }
    gateway = {"selector": {"a": "b"}, "servers": [server]}
    return [
        one("v1", "ServiceAccount", "api"),
        one(_NETWORKING, "WorkloadGroup", "api", {"template": {"serviceAccount": "api"}}),
        one("v1", "ServiceAccount", "east-west", home="istio-system"),
        one("v1", "Service", "minimal-network", {"ports": ports}, "istio-system"),
        one(_NETWORKING, "Gateway", "minimal-gateway", gateway, "istio-system"),
        one("security.istio.io/v1", "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
    ]


def kinds() -> dict[str, Any]:
    """One object of every kind that the roles let a user apply, in each namespace."""
    listed = [
        ("v1", ["Service"]),
        (
            _NETWORKING,
            [
                *("DestinationRule", "EnvoyFilter", "Gateway", "ServiceEntry", "Sidecar"),
                *("VirtualService", "WorkloadEntry", "WorkloadGroup"),
            ],
        ),
        (
            "security.istio.io/v1",
            ["AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"],
        ),
        ("telemetry.istio.io/v1", ["Telemetry"]),
    ]
    return {
        f"{place}.{kind}": {
            "apiVersion": "networking.istio.io/v1alpha3" if kind == "EnvoyFilter" else version,
            "kind": kind,
            "metadata": {"name": "one", "namespace": place},
        }
        for version, names in listed
        for kind in names
        for place in ("istio-system", NAMESPACE)
    }


RULES = [
    pytest.param(file, number, id=f"{file}-{number}")
    for file in ROLES
    for number, rule in enumerate(role(file)["rules"])
    # Nothing of ours gets a namespace of workloads; a user's own Namespace objects may take it.
    if file != "workloads" or rule["resources"] != ["namespaces"]
]


@pytest.mark.parametrize(("file", "number"), RULES)
def test_every_rule_that_is_missing_is_named_before_anything_is_touched(
    file: str,
    number: int,
    api_server: ApiServer,
    access: dict[str, Any],
    run_module: RunModule,
) -> None:
    less = role(file)
    gone = less["rules"].pop(number)
    look = {"namespaces": [NAMESPACE, "istio-system"], "permissions": True, "objects": kinds()}

    def missing() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = run_module("mesh_info", {**access, **look})[
            "missing_permissions"
        ]
        return found

    api_server.apply([less])
    try:
        found = next(filter(None, (missing() for _look in range(_LOOKS))), [])
    finally:
        api_server.apply([role(file)])
    assert found
    for one in found:
        assert one["group"] in gone["apiGroups"]
        assert "/".join(filter(None, (one["resource"], one["subresource"]))) in gone["resources"]
        assert one["verb"] in gone["verbs"]
        assert one["name"] in gone.get("resourceNames", [one["name"]])
        assert one["namespace"] == ROLES[file]
    assert any(not missing() for _look in range(_LOOKS))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, ...]]:
    """What the API server let somebody do: verb, group, resource, namespace."""
    wire = importlib.import_module(f"{_UTILS}._cluster.wire")
    request, found = wire.Direct.request, set()
    verbs = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}

    def recorded(self: Any, method: str, path: str, *more: Any) -> Any:
        answer = request(self, method, path, *more)
        place = _PLACE.fullmatch(path)
        if place and answer.status != 403:
            verb = verbs.get(method) or ("get" if place["name"] else "list")
            resource = "/".join(filter(None, (place["resource"], place["subresource"])))
            # A namespace is in itself, to those who judge rights.
            home = place["name"] if resource == "namespaces" else place["namespace"]
            found.add((verb, place["group"] or "", resource, home or ""))
        return answer

    monkeypatch.setattr(wire.Direct, "request", recorded)
    return found


def test_a_user_with_the_roles_does_all_that_the_playbooks_do(
    access: dict[str, Any], run_module: RunModule, done: set[tuple[str, ...]]
) -> None:
    found = run_module(
        "mesh_info", {**access, "namespaces": [NAMESPACE, "istio-system"], "permissions": True}
    )
    assert found["missing_permissions"] == []
    sets = {**access, "set": "mesh", "objects": {"mesh": objects()}}
    for check in (True, False):
        made = run_module("cluster_config", sets, check=check)
        assert not made.get("failed"), made
    joined = run_module(
        "workload_bootstrap",
        {
            **access,
            "cluster_id": "cluster1",
            "control_plane_addresses": ["192.0.2.1:15012"],
            "hosts": [{"name": "api-1", "namespace": NAMESPACE, "group": "api"}],
        },
    )
    assert not joined.get("failed"), joined
    assert joined["hosts"][0]["token"]
    tried = {"namespaces": [NAMESPACE], "identities": [{"namespace": NAMESPACE, **ACCOUNT}]}
    (identity,) = run_module("mesh_info", {**access, **tried})["identities"]
    assert identity["accepted"] is True
    entry = {"namespace": NAMESPACE, "entries": [{"name": "api-192.0.2.9"}], "state": "absent"}
    assert not run_module("workload_entry", {**access, **entry, "wait": True}).get("failed")
    host = {"name": "api-1", "namespace": NAMESPACE, "group": "api", "address": "192.0.2.9"}
    compared = run_module("registry_reconcile", {**access, "hosts": [{**host, "network": "n"}]})
    assert [one["host"] for one in compared["unregistered"]] == ["api-1"]
    gone = run_module("cluster_config", {**sets, "objects": {}, "state": "absent"})
    assert len(gone["deleted"]) == len(objects())
    assert done <= named()


def named() -> set[tuple[str, ...]]:
    """What the check of a user's rights asks for."""
    permissions = importlib.import_module(f"{_UTILS}._bootstrap.permissions")
    revision = importlib.import_module(f"{_UTILS}._bootstrap.revision").Revision()
    applied = [
        permissions.Applied(group, resource, place)
        for group, resource, place in (
            ("", "services", "istio-system"),
            ("networking.istio.io", "gateways", "istio-system"),
            ("security.istio.io", "peerauthentications", NAMESPACE),
        )
    ]
    wanted = permissions.needed(
        revision, [NAMESPACE, "istio-system"], "istio-ca-root-cert", applied=applied
    )
    asked = set()
    for one in wanted:
        resource = "/".join(filter(None, (one.resource, one.subresource)))
        asked.add((one.verb, one.group, resource, one.namespace))
    # Everybody may ask what he himself may do.
    return asked | {("create", "authorization.k8s.io", "selfsubjectaccessreviews", "")}


def test_the_user_may_do_nothing_elsewhere(access: dict[str, Any], run_module: RunModule) -> None:
    elsewhere = [{**objects()[0], "metadata": {"name": "api", "namespace": "default"}}]
    refused = run_module("cluster_config", {**access, "set": "mesh", "objects": {"x": elsewhere}})
    assert refused["failed"]
    assert f"user '{USER}' may not get serviceaccounts in the namespace default" in refused["msg"]
