# SPDX-License-Identifier: Apache-2.0
"""How the programs of a cluster are run, and the files that they are run with."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import PurePosixPath

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from lab.cluster import api_plan, istiod_plan
from lab.cluster.api_plan import ApiPlan
from lab.cluster.istiod_plan import IstiodPlan, Ports
from lab.cluster.pki import Authority

TOOLS = PurePosixPath("/opt/tools")
PLAN = ApiPlan("east", PurePosixPath("/var/lib/api"), 6443, 2379, 2380, address="10.0.0.1")
ISTIOD = IstiodPlan("east", PurePosixPath("/var/lib/istiod"), PurePosixPath("/etc/kubeconfig"))


def flags(argv: tuple[str, ...]) -> dict[str, str]:
    return dict(part.removeprefix("--").split("=", 1) for part in argv if part.startswith("--"))


def test_the_api_server_finds_its_etcd_and_its_files() -> None:
    etcd, server = api_plan.commands(PLAN, TOOLS)
    assert [etcd.argv[0], server.argv[0]] == ["/opt/tools/etcd", "/opt/tools/kube-apiserver"]
    given = flags(server.argv)
    assert (
        given["etcd-servers"] == flags(etcd.argv)["listen-client-urls"] == "http://127.0.0.1:2379"
    )
    assert given["bind-address"] == "10.0.0.1"
    assert given["api-audiences"] == "https://kubernetes.default.svc,istio-ca"
    made = api_plan.files(PLAN, Authority.create("x"))
    paths = [value for value in given.values() if value.startswith("/var/lib/api/")]
    assert {PurePosixPath(path).name for path in paths} <= set(made)


def test_every_file_that_real_nodes_need_is_made() -> None:
    plan = replace(PLAN, nodes=True)
    commands = api_plan.commands(plan, TOOLS)
    assert [command.name for command in commands] == [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ]
    made = api_plan.files(plan, Authority.create("x"))
    for command in commands[1:]:
        for value in flags(command.argv).values():
            if value.startswith("/var/lib/api/"):
                assert PurePosixPath(value).name in made
    assert flags(commands[1].argv)["authorization-mode"] == "Node,RBAC"


@pytest.mark.parametrize(
    ("address", "nodes", "reconciler"),
    [("127.0.0.1", True, "none"), ("10.0.0.1", True, None), ("10.0.0.1", False, "none")],
)
def test_only_a_reachable_address_becomes_an_endpoint(
    address: str, nodes: bool, reconciler: str | None
) -> None:
    command = api_plan.api_server(replace(PLAN, address=address, nodes=nodes), TOOLS)
    assert flags(command.argv).get("endpoint-reconciler-type") == reconciler


def test_certificates_name_what_clients_look_for() -> None:
    authority = Authority.create("x")
    made = api_plan.files(replace(PLAN, names=("api.lab.example",)), authority)
    server = x509.load_pem_x509_certificate(made["server.crt"])
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "api.lab.example" in names.get_values_for_type(x509.DNSName)
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.0.0.1", "10.96.0.1"}
    server.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pair.certificate))


def test_a_kubeconfig_is_for_one_user_of_some_groups() -> None:
    text = api_plan.client(PLAN, Authority.create("x"), "alice", ("devs", "ops"))
    config = yaml.safe_load(text)
    assert config["current-context"] == "east"
    assert config["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:6443"
    pem = base64.b64decode(config["users"][0]["user"]["client-certificate-data"])
    subject = x509.load_pem_x509_certificate(pem).subject
    organizations = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [attribute.value for attribute in organizations] == ["devs", "ops"]
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "alice"


def test_an_address_of_ipv6_is_bracketed() -> None:
    assert replace(PLAN, address="fd00::1").url == "https://[fd00::1]:6443"
    command = istiod_plan.command(replace(ISTIOD, address="fd00::1"), TOOLS)
    assert flags(command.argv)["secureGRPCAddr"] == "[fd00::1]:15012"


def test_istiod_serves_no_webhooks_and_is_known_by_its_address() -> None:
    command = istiod_plan.command(replace(ISTIOD, address="10.0.0.1"), TOOLS)
    assert flags(command.argv)["httpsAddr"] == ""
    assert command.environment["INJECT_ENABLED"] == "false"
    assert command.environment["INJECTION_WEBHOOK_CONFIG_NAME"] == ""
    assert command.environment["ISTIOD_CUSTOM_HOST"] == "10.0.0.1,localhost"


def test_what_the_caller_sets_wins() -> None:
    plan = replace(
        ISTIOD,
        environment={"INJECT_ENABLED": "maybe", "PILOT_X": "1"},
        arguments=("--log_as_json=true",),
        ports=Ports(debug=1234),
    )
    command = istiod_plan.command(plan, TOOLS)
    assert command.environment["INJECT_ENABLED"] == "maybe"
    assert command.environment["PILOT_X"] == "1"
    assert command.environment["CLUSTER_ID"] == "east"
    assert command.argv[-1] == "--log_as_json=true"
    assert flags(command.argv)["httpAddr"] == "127.0.0.1:1234"


def test_the_mesh_configuration_takes_fields_at_both_levels() -> None:
    mesh = {"trustDomain": "shop.example", "defaultConfig": {"meshId": "shop"}}
    networks = {"net1": {"gateways": [{"address": "10.0.0.9", "port": 15443}]}}
    namespace, settings = istiod_plan.objects(ISTIOD, mesh, networks, "net1")
    assert namespace["metadata"]["labels"] == {"topology.istio.io/network": "net1"}
    config = yaml.safe_load(settings["data"]["mesh"])
    assert config["trustDomain"] == "shop.example"
    assert config["defaultConfig"] == {
        "discoveryAddress": "istiod.istio-system.svc:15012",
        "meshId": "shop",
    }
    assert yaml.safe_load(settings["data"]["meshNetworks"]) == {"networks": networks}
    canary = istiod_plan.objects(replace(ISTIOD, revision="canary"))[1]
    assert canary["metadata"]["name"] == "istio-canary"
